"""RevisEval: what is revised, what becomes of a bad revision, and the published figures of fixed references."""

from __future__ import annotations

import asyncio
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adhere.errors import UsageError
from adhere.models.model import Model
from adhere.records import Instruction, Response
from adhere.score.judges.base import resolve_judge
from adhere.score.judges.revis import DirectReference, GivenReference, RevisEval, clean_revision
from adhere.score.judges.revis_metrics import METRICS, VOTE, nearer
from judging_models import Judging, prefers

ASKED = Instruction.of("Name the capital of France and its river.")
GOOD, BAD = "Paris, on the Seine.", "Lyon, on the Rhone."


class Reviser(Judging):
    """Writes `text` as the revision (None: copies the answer), and judges by a rule."""

    def __init__(self, text: str | None, **options) -> None:
        super().__init__(prefers("Paris"), **options)
        self.text = text

    async def generate(self, request):
        prompt = request.messages[-1].text
        if "Improved answer:" not in prompt:
            return await super().generate(request)
        self.requests.append(request)
        answer = prompt.split("[Answer to improve]\n" if "[Answer to improve]" in prompt else "[Answer]\n")[1]
        return Response(answer.split("\n\n[End of the answer")[0] if self.text is None else self.text)


def revis(text: str | None, **options) -> RevisEval:
    return RevisEval(Model(Reviser(text)), **options)


def compare(judge, a=BAD, b=GOOD, instruction=ASKED):
    return asyncio.run(judge.compare(instruction, a, b))


# In pairs ------------------------------------------------------------------------------------------------------------


def test_the_revision_is_the_reference_of_both_answers():
    found = compare(revis("Paris, and the Seine.", by="rouge_l"))
    assert found.verdict == "b"
    assert found.details["reference"] == "Paris, and the Seine."
    assert found.details["revision"] == "made"
    a, b = found.details["scores"]["rouge_l"]
    assert b > a


def test_the_judge_sees_the_revision_as_a_reference():
    judge = revis("Paris, and the Seine.")
    assert compare(judge).verdict == "b"
    verdicts = [r for r in judge.model.backend.requests if r.sampling.top_logprobs]
    assert len(verdicts) == 2
    assert all("[Reference answer]\nParis, and the Seine." in r.messages[0].text for r in verdicts)


def test_the_other_answer_is_in_view_of_the_reviser():
    judge = revis("x", by="bleu")
    compare(judge)
    prompt = judge.model.backend.requests[0].messages[0].text
    assert GOOD in prompt
    assert BAD in prompt
    assert judge.model.backend.requests[0].sampling.temperature == 0.3


def test_swapping_the_answers_revises_the_same_text_and_swaps_the_verdict():
    for n in range(8):
        asked = Instruction.of(f"Name the capital, {n}.")
        judge = revis(None, by="meteor")
        one, other = compare(judge, BAD, GOOD, asked), compare(judge, GOOD, BAD, asked)
        assert one.details["reference"] == other.details["reference"]
        assert {one.details["revised_from"], other.details["revised_from"]} == {"a", "b"}
        assert one.probability_b == pytest.approx(1 - other.probability_b)


def test_each_side_is_revised_about_as_often():
    judge = revis(None, by="bleu")
    sides = [compare(judge, instruction=Instruction.of(f"Question {n}")).details["revised_from"] for n in range(60)]
    assert 15 < sides.count("a") < 45


def test_both_primaries_cancel_what_a_copying_reviser_gives_to_its_own():
    found = compare(revis(None, by="bleu", primary="both"))
    assert (found.verdict, found.probability_b) == ("tie", 0.5)
    assert [p["revision"] for p in found.details["parts"]] == ["copied", "copied"]


def test_a_revision_that_is_mere_talk_is_failed_and_nothing_is_scored_against_it():
    talk = "The original response is already good enough."
    judged = compare(revis(talk))
    assert judged.verdict == "b"  # the judge judges without a reference, and says so
    assert "without reference" in judged.reason
    assert judged.details["revision"] == "failed"
    measured = compare(revis(talk, by="rouge_l"))
    assert (measured.verdict, measured.probability_b) == (None, None)
    assert "no revision" in measured.reason


def test_an_empty_answer_is_not_revised_and_two_have_no_verdict():
    found = compare(revis(None, by="rouge_l"), "", GOOD)
    assert (found.verdict, found.details["revised_from"]) == ("b", "b")
    assert found.details["scores"]["rouge_l"] == [0.0, 1.0]
    assert compare(revis(None, by="rouge_l"), "", "  ").verdict is None
    assert compare(revis(None), GOOD, GOOD).verdict == "tie"


# One answer ----------------------------------------------------------------------------------------------------------


def score(judge, text):
    return asyncio.run(judge.score(ASKED, Response(text)))


def test_one_answer_is_measured_against_its_own_revision():
    found = score(revis("Paris, on the river Seine.", by="rouge_l"), GOOD)
    assert found.name == "revis"
    assert 0.8 < found.value < 1.0
    assert found.passed is None
    assert score(revis(None, by="rouge_l"), GOOD).value == 1.0


def test_one_answer_without_text_or_revision_is_undecided_and_never_perfect():
    for text, reviser in (("  ", None), (GOOD, "The answer is perfect."), (GOOD, "")):
        found = score(revis(reviser, by="bleu"), text)
        assert (found.value, found.passed) == (None, None)
        assert found.reason


def test_a_vote_rates_no_single_answer():
    with pytest.raises(UsageError, match="compares pairs"):
        score(revis(None, by="vote"), GOOD)


@pytest.mark.weights
def test_a_vote_is_the_share_of_the_metrics_that_prefer_an_answer():
    found = asyncio.run(nearer("Lyon, on the Rhone.", "Paris, on the Seine", "Paris, on the Seine.", VOTE))
    assert (found.verdict, found.probability_b) == ("b", 1.0)
    assert set(found.details["scores"]) == set(METRICS)


# The references beside it ---------------------------------------------------------------------------------------------


def test_direct_and_given_references():
    direct = DirectReference(Model(Judging(prefers("Paris"), prose="It is Paris, on the Seine.")), by="rouge_l")
    found = compare(direct)
    assert (found.verdict, found.details["reference"]) == ("b", "It is Paris, on the Seine.")
    asked = Instruction("x", ASKED.messages, references=(BAD,))
    assert compare(GivenReference(by="bleu"), instruction=asked).verdict == "a"
    assert compare(GivenReference(by="bleu")).verdict is None


def test_specs_name_what_is_wrong():
    assert isinstance(resolve_judge("revis(model=echo, by=bleu)"), RevisEval)
    for spec, said in (("revis", "needs a model"), ("revis(model=echo, by=blue)", "unknown metric 'blue'"),
                       ("revis(model=echo, primary=second)", "cannot revise the 'second'"),
                       ("given_reference", "needs a model")):  # fmt: skip
        with pytest.raises(UsageError, match=said):
            resolve_judge(spec)


# Cleaning ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("Sure! Here is the revised answer:\n\nParis.", "Paris."),
        ("Here's my improved response:\n\n**Revised Answer:** Paris.", "Paris."),
        ("**Improved answer**\nParis.", "Paris."),
        ('"Paris, on the Seine."', "Paris, on the Seine."),
        ("Paris: a city of light.\nAnd more.", "Paris: a city of light.\nAnd more."),
        ("Here is a list of rivers:", None),
        ("The response is already good and needs no change.", None),
        ("", None),
    ],
)
def test_talk_around_a_revision_is_stripped(written, kept):
    assert clean_revision(written) == kept


@given(st.text(max_size=300))
def test_cleaning_never_adds_a_word(written):
    cleaned = clean_revision(written)
    assert cleaned is None or (cleaned in written and cleaned.strip() == cleaned != "")


# Known answers -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("metric", "expected"), [("rouge_l", 66.7), ("bleu", 63.5)])
def test_llmbar_by_gpt4s_direct_reference_gives_the_measured_accuracy(data_dir, metric, expected):
    lines = (data_dir / "revis-eval" / "llmbar.jsonl").read_text(encoding="utf-8").splitlines()
    credit = 0.0
    for row in map(json.loads, lines):
        a, b = METRICS[metric]((row["output_1"], row["output_2"]), row["gpt4_reference"])
        credit += 0.5 if a == b else float((b > a) == (row["label"] == 2))
    assert 100 * credit / len(lines) == pytest.approx(expected, abs=1.0)


def test_an_adapted_reference_finds_the_damage_where_an_independent_one_does_not(data_dir):
    """A sentence is dropped from an answer; its own undamaged text is the oracle's revision."""
    lines = (data_dir / "revis-eval" / "llmbar.jsonl").read_text(encoding="utf-8").splitlines()
    right = {"adapted": 0.0, "independent": 0.0}
    n = 0
    for row in map(json.loads, lines):
        whole = row["gpt4_reference"]
        sentences = whole.split(". ")
        if not 3 <= len(sentences) <= 12:
            continue
        n += 1
        damaged = ". ".join(sentences[:1] + sentences[2:])
        references = {"adapted": whole, "independent": row[f"output_{row['label']}"]}
        for kind, reference in references.items():
            worse, better = METRICS["rouge_l"]((damaged, whole), reference)
            right[kind] += float(better > worse)
    assert n > 80
    assert right["adapted"] / n >= 0.95
    assert right["independent"] / n < 0.8
