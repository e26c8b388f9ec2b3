"""Auto-CoT: what is built from which questions, what is shown, and bad input."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import msgspec
import numpy as np
import pytest

from adhere.answer import build
from adhere.answer.auto_cot import AutoCoT, clusters, demonstrations, from_chains, stream
from adhere.answer.demonstrations import Chain, Demo, DemoSet, Rules, read_log
from adhere.errors import ContextError, DataError, UsageError
from adhere.models.base import Request
from adhere.models.fakes import Fake
from adhere.models.model import Model
from adhere.records import Instruction, Response
from adhere.write.auto_cot import build as build_program
from pupils import Pupil, solved

NAMES = ("Ann", "Bob", "Cid", "Dan", "Eve")
SUMS = [solved(f"{name} has {n} apples and buys {n} apples. How many?", str(2 * n)) for n, name in enumerate(NAMES, 2)]
SPEEDS = [solved(f"A train drives {n} miles each hour. How far in 2 hours?", str(2 * n)) for n in range(30, 35)]
POOL = SUMS + SPEEDS
QUESTION = Instruction.of("Fay has 9 apples and buys 9 apples. How many?")


def think(text: str) -> str:
    """Right chains, in the zero-shot manner; with demonstrations, an answer in their manner."""
    question = text.split("Q: ")[-1]
    answer = 2 * int(re.findall(r"\d+", question)[0])
    if "Therefore" in question:
        return f" {answer}."
    return f"Twice that\nis {answer}." + (f" The answer is {answer}." if "The answer is" in text else "")


def fitted(reply=think, pool=POOL, **options):  # type: ignore[no-untyped-def]
    pupil = Pupil(reply)
    strategy = AutoCoT(pupil, pool, embedder="tfidf", **{"k": 2, "form": "text", **options})
    return asyncio.run(strategy.fit()), pupil, strategy


def test_each_cluster_gives_one_demonstration_in_the_papers_form() -> None:
    found, _, _ = fitted()
    assert len(found.demo) == 2
    assert {"apples" in demo.question for demo in found.demo} == {True, False}
    demo = found.demo[0]
    assert re.fullmatch(r"Q: .*\nA:", demo.question)
    assert re.fullmatch(r"Let's think step by step\. Twice that is \d+\.", demo.rationale)  # on one line
    assert demo.pred_ans == demo.gold_ans and demo.wrong is False


def test_building_twice_gives_the_same() -> None:
    assert fitted()[0] == fitted()[0]


def test_chains_are_made_only_until_one_passes() -> None:
    _, pupil, _ = fitted()
    assert len(pupil.seen) == 4  # two calls for each of two clusters


def test_the_next_nearest_is_taken_where_a_chain_breaks_a_rule() -> None:
    first = fitted()[0]
    bad = {demo.asked for demo in first.demo}
    second, _, _ = fitted(lambda text: "Hm" if any(q in text for q in bad) else think(text))
    assert len(second.demo) == 2 and not bad & {demo.asked for demo in second.demo}


def test_the_prompt_is_the_papers() -> None:
    found, pupil, strategy = fitted()
    answer = asyncio.run(strategy.answer(QUESTION))
    (message,) = pupil.seen[-1].messages
    shown = [f"{d.question} {d.rationale} The answer is {d.pred_ans}.\n\n" for d in found.demo]
    assert message.text == "".join(shown) + f"Q: {QUESTION.prompt}\nA: Let's think step by step."
    assert answer.text.endswith("The answer is 18.")
    assert "after 'The answer is': 18" in str(answer.trace)
    assert answer.usage.prompt_tokens == 1  # building is nobody's cost


def test_a_chat_model_gets_turns() -> None:
    found, pupil, strategy = fitted(form="turns")
    asyncio.run(strategy.answer(QUESTION))
    messages = pupil.seen[-1].messages
    assert [m.role for m in messages] == ["user", "assistant"] * 2 + ["user"]
    assert messages[1].text == f"{found.demo[0].rationale[26:]} The answer is {found.demo[0].pred_ans}."


def test_a_demonstrations_own_question_is_answered_without_it() -> None:
    found, pupil, strategy = fitted()
    own = found.demo[0].asked
    answer = asyncio.run(strategy.answer(Instruction.of(own)))
    assert pupil.seen[-1].messages[0].text.count(own) == 1
    assert len(answer.trace[0]["items"]) == 1


@pytest.mark.parametrize("select", ["retrieve", "in_cluster", "random"])
def test_the_papers_comparisons_choose_per_question(select: str) -> None:
    pupil = Pupil(think)
    strategy = AutoCoT(pupil, POOL, k=2, select=select, form="text", embedder="tfidf")
    answer = asyncio.run(strategy.answer(QUESTION))
    items = next(step["items"] for step in answer.trace if step["step"] == "demonstrations")
    assert len(items) == 2
    if select != "random":
        assert all("apples" in item["input"] for item in items)
    again = asyncio.run(AutoCoT(Pupil(think), POOL, k=2, select=select, form="text", embedder="tfidf").answer(QUESTION))
    assert again.trace == answer.trace


# The rules -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("question", "rationale", "answer", "kind", "failed"),
    [
        ("q", "It is 5.", "5", "number", ""),
        ("q " * 61, "It is 5.", "5", "number", "question of more than 60 words"),
        ("q", "a\nb\nc\nd\ne\nIt is 5.", "5", "number", "chain of more than 5 lines"),
        ("q", "a\n\nb\n\nc\n\nd\n\nIt is 5.", "5", "number", ""),  # doubled line breaks are merged
        ("q", "It is 5", "5", "number", "chain without a full stop"),
        ("q", "It is so.", "", "number", "no answer"),
        ("q", f"It is 5. {'And so on ' * 9}.", "5", "number", "answer not in the last sentence"),
        ("q", f"It is 5. {'And so on ' * 9}.", "5", "text", ""),
        ("q", "So it is 3.50 dollars.", "3.5", "number", ""),  # a decimal point ends no sentence
        ("q", "So it is $1,200.", "1200", "number", ""),
        ("q", "So there are 15 of them.", "5", "number", "answer not in the last sentence"),
    ],
)
def test_rules_say_which_one_failed(question: str, rationale: str, answer: str, kind: str, failed: str) -> None:
    found = Rules().failed(Chain(question.strip(), rationale, answer), kind)  # type: ignore[arg-type]
    assert found.startswith(failed) and bool(found) == bool(failed)


def test_if_no_question_passes_the_error_counts_the_rules() -> None:
    with pytest.raises(DataError, match=r"none of 10 questions.*10 × chain without a full stop"):
        fitted(lambda text: "Hm")


# Bad input -----------------------------------------------------------------------------------------------------------


def test_a_pool_smaller_than_k_lowers_k_with_a_warning() -> None:
    with pytest.warns(UserWarning, match="10 questions make 10 clusters, not 50"):
        assert len(fitted(k=50)[0].demo) == 10


def test_doubled_questions_are_dropped() -> None:
    with pytest.warns(UserWarning, match="10 questions"):
        assert len(fitted(pool=POOL + POOL, k=20)[0].demo) == 10


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"k": 0}, "at least 1"),
        ({"k": 2.5}, "at least 1"),
        ({"kind": "numbr"}, "'number'"),
        ({"select": "clusters"}, "'cluster'"),
        ({"demos": "x"}, "a pool of questions, or"),
        ({"pool": None}, "a pool of questions, or"),
        ({"form": "chat"}, "unknown form"),
    ],
)
def test_arguments_without_sense_are_refused(options: dict, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        fitted(**options)


def test_an_empty_pool_is_refused() -> None:
    with pytest.raises(DataError, match="empty"):
        fitted(pool=[])


def test_where_the_context_is_full_the_least_alike_demonstration_goes() -> None:
    class Narrow(Pupil):
        async def answer(self, instruction: Instruction) -> Response:
            if instruction.messages[0].text.count("Q: ") > 2:
                raise ContextError("the prompt has 9 tokens, the context 5")
            return await super().answer(instruction)

    narrow = Narrow(think)
    answer = asyncio.run(AutoCoT(narrow, POOL, k=2, form="text", embedder="tfidf").answer(QUESTION))
    assert "train" not in narrow.seen[-1].messages[0].text and "apples" in narrow.seen[-1].messages[0].text
    assert "1 demonstrations fit" in str(answer.trace)


# Files ---------------------------------------------------------------------------------------------------------------


def test_the_published_demonstrations_are_read_written_and_shown(data_dir: Path, tmp_path: Path) -> None:
    file = data_dir / "auto-cot" / "multiarith_auto_demos.json"
    found = DemoSet.load(file)
    assert len(found.demo) == 8 and found.thinks and not any(demo.wrong for demo in found.demo)
    assert msgspec.json.decode(found.save(tmp_path / "demos.json").read_bytes()) == msgspec.json.decode(
        file.read_bytes()
    )
    manual = DemoSet.load(data_dir / "auto-cot" / "multiarith_manual_demos.json")
    assert not manual.thinks  # written by people: no trigger after "A:"
    text = manual.program().text("How many?")
    assert text.endswith("Q: How many?\nA:") and "step by step" not in text
    pupil = Pupil(think)
    made = build(f"auto_cot(demos='{file}', form=text)", pupil)
    asyncio.run(made.answer(QUESTION))
    assert pupil.seen[0].messages[0].text.count("The answer is") == 8


@pytest.mark.parametrize("content", ["", "[]", '{"demo": []}', '{"demo": [{"question": "q"}]}', "\ud800"])
def test_a_file_that_is_no_demo_file_is_named(tmp_path: Path, content: str) -> None:
    file = tmp_path / "demos.json"
    file.write_bytes(content.encode("utf-8", "surrogatepass"))
    with pytest.raises(DataError, match=r"demos\.json"):
        DemoSet.load(file)


LOG = """*************************
{n}st data
Q: {question}
A: Let's think step by step. Twice that
is {answer}.
Therefore, the answer (arabic numerals) is {answer}.
pred_mode : {answer}
GT : {gold}
"""


def test_chains_of_a_log_make_demonstrations_without_a_model(tmp_path: Path) -> None:
    file = tmp_path / "multiarith.log"
    blocks = [LOG.format(n=n, question=e.instruction.prompt, answer=4, gold=3 + n % 2) for n, e in enumerate(POOL)]
    file.write_text("Q: cut off\nA: nothing\n" + "".join(blocks))
    logged = read_log(file)
    assert len(logged) == len(POOL)
    assert logged[0] == (Chain(POOL[0].instruction.prompt, "Twice that\nis 4.", "4"), "3")
    chains, golds = zip(*logged, strict=True)
    found = asyncio.run(from_chains(chains, golds, k=2, embedder="tfidf"))
    assert len(found.demo) == 2
    assert all(demo.wrong is (demo.gold_ans != "4") for demo in found.demo)
    file.write_text("Q: cut off\nA: nothing\n")
    with pytest.raises(DataError, match="no chains"):
        read_log(file)


class Thinker(Fake):
    def __init__(self) -> None:
        super().__init__("thinker")

    async def generate(self, request: Request) -> Response:
        return Response(think("\n".join(m.text for m in request.messages)))


def test_a_program_comes_out_that_any_command_can_apply(tmp_path: Path) -> None:
    model = Model(Thinker(), chat=False)
    program = asyncio.run(build_program(POOL, model, "tfidf", k=2))
    assert (program.method, program.writer, program.seed, program.stop) == ("auto-cot", "thinker", 192, ("\nQ:",))
    assert program.trace[0]["wrong"] == 0 and len(program.trace[0]["items"]) == 2
    file = program.save(tmp_path / "prompt.json")
    pupil = Pupil(think)
    answer = asyncio.run(build(f"prompted('{file}')", pupil).answer(QUESTION))
    _, other, strategy = fitted()
    asyncio.run(strategy.answer(QUESTION))
    assert pupil.seen[-1].messages == other.seen[-1].messages
    assert answer.text.endswith("The answer is 18.")


# Clusters, and the streaming form ------------------------------------------------------------------------------------


def test_clusters_are_listed_from_the_centre_outwards() -> None:
    rng = np.random.default_rng(0)
    vectors = np.concatenate([rng.normal(5, 0.1, (6, 3)), rng.normal(-5, 0.1, (4, 3))]).astype(np.float32)
    found = clusters(vectors, 2)
    assert sorted(map(sorted, found.members)) == [[0, 1, 2, 3, 4, 5], [6, 7, 8, 9]]
    for members in found.members:
        centre = vectors[list(members)].mean(0)
        distances = [float(np.linalg.norm(vectors[at] - centre)) for at in members]
        assert distances == sorted(distances)
    assert found.of(7) == found.of(9)


def test_equal_questions_make_fewer_clusters() -> None:
    assert len(clusters(np.ones((5, 3), np.float32), 3).members) == 1


def test_demonstrations_come_in_the_order_of_the_clusters() -> None:
    async def chain(at: int) -> Chain:
        await asyncio.sleep(0.001 * (3 - at))
        return Chain(f"q{at}", "So 5.", "5")

    groups = clusters(np.eye(3, dtype=np.float32), 3)
    found = asyncio.run(demonstrations(groups, chain, "number", Rules(), [None, "6", "5.0"]))
    assert [d.asked for d in found.demo] == [f"q{members[0]}" for members in groups.members]
    assert {d.asked: d.wrong for d in found.demo} == {"q0": None, "q1": True, "q2": False}
    assert Demo("Q: a\nA:", "r", "Yes", "yes").wrong is False


def test_the_streaming_form_builds_on_what_it_has_answered() -> None:
    pupil = Pupil(think)
    questions = [example.instruction.prompt for example in POOL]

    async def run() -> list[Chain]:
        return [c async for c in stream(pupil, questions, k=2, batch=4, form="text", embedder="tfidf")]

    chains = asyncio.run(run())
    assert [c.question for c in chains] == questions
    assert [c.answer for c in chains] == [e.responses[0].text for e in POOL]
    assert "The answer is" not in pupil.seen[0].messages[0].text
    assert pupil.seen[-1].messages[0].text.count("The answer is") == 2
    assert all("The answer is" not in c.rationale for c in chains)
