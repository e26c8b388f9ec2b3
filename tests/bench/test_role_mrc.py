"""RoleMRC: reading rows, our own characters, the programs against labelled replies, and a judge."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from pathlib import Path

import pytest

from adhere.bench.base import Options, Scored, get
from adhere.bench.role_mrc import programs
from adhere.bench.role_mrc.reactions import Reactions
from adhere.bench.role_mrc.rows import profiles, read_rows, synthetic
from adhere.bench.role_mrc.scoring import RoleJudge, habit_of, make_scorer, summary
from adhere.bench.role_mrc.tasks import ASPECTS, FREE_CHAT, TASKS
from adhere.bench.scored import scored_metrics
from adhere.errors import DataError, UsageError, WeightsError
from adhere.models.base import Request
from adhere.models.fakes import Fake
from adhere.models.model import Model
from adhere.records import Instruction, Response
from adhere.score.judges.verdict import VerdictReader

LABELLED = Path(__file__).parent / "data" / "role_mrc_labelled.jsonl"
TASK = "role_related_mrc_answer_no_narration"
SAID = [{"role": "System", "content": "You are a cook."}, {"role": "User", "content": "Passage: … Question: …"}]


@pytest.fixture(scope="module")
def judge() -> RoleJudge:
    """The programs, with MiniLM."""
    try:
        return make_scorer(Options())
    except WeightsError as error:
        pytest.skip(f"no MiniLM: {error}")


def write(tmp_path: Path, *rows: dict) -> Path:
    path = tmp_path / "test.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


# Reading -------------------------------------------------------------------------------------------------------------


def test_released_rows_are_read_with_roles_in_lower_case_and_tasks_in_turn(tmp_path: Path) -> None:
    assistant_first = [{"role": "Assistant", "content": "Aye?"}, {"role": "User", "content": "Well?"}]
    other = "role_related_mrc_refused_no_narration-2ndrefused"
    rows = read_rows(
        write(
            tmp_path,
            {"task": TASK, "question": SAID, "reference": "Soup."},
            {"task": TASK, "question": assistant_first, "reference": "Soup."},
            {"task": other, "question": SAID, "reference": "It does not say."},
        )
    )
    assert [row.meta["task"] for row in rows] == [TASK, other, TASK]
    assert [m.role for m in rows[0].messages] == ["system", "user"]
    assert rows[1].meta["aspects"] == ["multi_turn"]
    assert rows[2].messages[0].role == "assistant"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"task": "role_related_mrc_answer"}, "unknown task.*Did you mean"),
        ({"task": "x"}, "There are 18"),
        ({"reference": " "}, "reference is empty"),
        ({"question": SAID[:1]}, "does not end with the user"),
        ({"question": [*SAID, SAID[1]]}, "turn 3: two turns of the user"),
        ({"question": [SAID[0], {"role": "User", "content": ""}]}, "turn 2: nothing is said"),
        ({"question": [SAID[1], SAID[0]]}, "turn 2: a system text after"),
        ({"question": [{"role": "Narrator", "content": "."}]}, "role 'Narrator'"),
        ({"question": []}, "does not end with the user"),
        ({"question": "Why?"}, "Expected `array`"),
    ],
)
def test_bad_rows_are_named_by_line_and_turn(tmp_path: Path, change: dict, said: str) -> None:
    with pytest.raises(DataError, match=f"(?s)test.jsonl:1.*{said}"):
        read_rows(write(tmp_path, {"task": TASK, "question": SAID, "reference": "Soup."} | change))


def test_the_table_of_tasks_is_the_released_judges() -> None:
    """Of 18 tasks it asks six for knowledge, four each for style, nested instructions and turns, two for priority."""
    asked = Counter(aspect for task in TASKS.values() for aspect in task.aspects)
    assert asked == {"knowledge_range": 6, "style": 4, "nested": 4, "multi_turn": 4, "priority": 2}


# Our own rows --------------------------------------------------------------------------------------------------------


def test_our_rows_are_ten_characters_in_all_kinds_twenty_kinds_in_every_twenty() -> None:
    rows = synthetic()
    assert len(rows) == len({row.id for row in rows}) == get("role-mrc-synthetic").size == 200
    for start in range(0, 200, 20):
        assert Counter(row.meta["task"] for row in rows[start : start + 20]) == dict.fromkeys(TASKS, 1) | {FREE_CHAT: 2}
    assert {row.meta["cluster"] for row in rows} == {profile.name for profile in profiles()}
    assert len(synthetic(profiles()[:3])) == 60


def test_our_conversations_are_well_formed_and_state_what_is_checked() -> None:
    for row in synthetic():
        roles = [m.role for m in row.messages]
        assert roles in (["system", "user"], ["system", "user", "assistant", "user"])
        assert (len(roles) == 4) is ("-2nd" in row.id)
        if row.constraints:
            assert habit_of(row).startswith("You must")
        assert ("You must refuse every question" in row.messages[0].text) is ("priority" in row.meta["aspects"])


@pytest.mark.weights
def test_every_reference_meets_its_own_aspects_and_no_empty_reply_meets_any(judge: RoleJudge) -> None:
    for row in synthetic():
        found = asyncio.run(judge.score(row, Response(row.references[0])))
        assert found.passed is True, (row.id, found)
        assert {part.name: part.value for part in found.parts}["rouge_l"] == 1.0
        assert asyncio.run(judge.score(row, Response(" "))).passed is False


@pytest.mark.weights
def test_swapped_behaviours_fail(judge: RoleJudge) -> None:
    """The reply of the same character to the task that wants the opposite: what preference pairs are made of."""
    rows = {row.id: row for row in synthetic()}
    pairs = [
        ("role_related_mrc_answer_no_narration", "role_related_mrc_refused_no_narration", "knowledge_range"),
        ("role_unrelated_mrc_refused_no_narration", "role_unrelated_mrc_answer_no_narration", "knowledge_range"),
        ("role_related_mrc_answer_no_narration-refused", "role_related_mrc_answer_no_narration", "priority"),
        ("role_unrelated_mrc_refused_no_narration-2ndanswer", "role_unrelated_mrc_refused_no_narration", "multi_turn"),
        ("role_related_mrc_answer_no_narration-special-content", "role_related_mrc_answer_no_narration", "nested"),
        ("role_related_mrc_answer_with_narration", "role_related_mrc_answer_no_narration", "style"),
    ]
    for who in {id.split("/")[0] for id in rows}:
        for wanted, given, aspect in pairs:
            row, wrong = rows[f"{who}/{wanted}"], rows[f"{who}/{given}"].references[0]
            parts = {p.name: p.passed for p in asyncio.run(judge.score(row, Response(wrong))).parts}
            assert parts[aspect] is False, (who, wanted, wrong)


# The programs --------------------------------------------------------------------------------------------------------


@pytest.mark.weights
def test_the_programs_agree_with_labelled_replies(judge: RoleJudge) -> None:
    """133 replies labelled by hand that neither patterns nor examples were made with (but 37 answers, 26 of style)."""
    reactions = judge.by
    assert isinstance(reactions, Reactions)
    verdicts: dict[str, list[tuple[bool, bool]]] = {}
    for row in map(json.loads, LABELLED.read_text().splitlines()):
        kind, text, answer = row["aspect"], row["text"], row.get("answer", "")
        if kind == "style":
            found = programs.in_character(text, row["narration"], row["markers"])
        else:
            known = answer if kind == "answer" else None
            secret = answer if kind == "refuse" else None
            found = asyncio.run(reactions.behaves(text, kind, known, "", secret))
        verdicts.setdefault(kind, []).append((found, row["label"]))
    kappas = {kind: kappa(pairs) for kind, pairs in verdicts.items()}
    assert {kind: len(pairs) for kind, pairs in verdicts.items()} == {
        "answer": 47, "unanswerable": 24, "refuse": 24, "style": 38,
    }  # fmt: skip
    assert min(kappas[kind] for kind in ("answer", "refuse", "style")) > 0.8
    assert kappas["unanswerable"] > 0.6  # short of the card's 0.8: there are many ways to say that nothing is said


def kappa(pairs: list[tuple[bool, bool]]) -> float:
    n = len(pairs)
    agreed = sum(a == b for a, b in pairs) / n
    yes, said = sum(a for a, _ in pairs) / n, sum(b for _, b in pairs) / n
    chance = yes * said + (1 - yes) * (1 - said)
    return (agreed - chance) / (1 - chance)


def test_patterns_take_bounded_time() -> None:
    hostile = "i can not " * 50_000 + "(" * 50_000 + "the passage " * 50_000
    assert not programs.narrates(hostile)
    programs.declines(hostile), programs.untold(hostile), programs.in_character(hostile, True, ["x"])


# A judge -------------------------------------------------------------------------------------------------------------


class Says(Fake):
    """Answers every question of a judge with the same words."""

    def __init__(self, text: str) -> None:
        super().__init__("says", text=text)
        self.text = text
        self.asked: list[str] = []

    async def generate(self, request: Request) -> Response:
        self.asked.append(request.messages[-1].text)
        return Response(self.text)


def row_of(task: str) -> Instruction:
    return next(row for row in synthetic() if row.meta["task"] == task)


@pytest.mark.parametrize(("text", "passed"), [("Yes", True), ("No.", False), ("Maybe", None)])
def test_a_judge_decides_each_aspect_and_no_verdict_is_undecided(text: str, passed: bool | None) -> None:
    backend = Says(text)
    row = row_of("role_unrelated_mrc_refused_no_narration")
    found = asyncio.run(RoleJudge(VerdictReader(Model(backend))).score(row, Response("No, dear.")))
    assert {p.name: p.passed for p in found.parts if p.name in ASPECTS} == {"knowledge_range": passed, "style": passed}
    assert found.passed is passed
    assert "should refuse to answer" in backend.asked[0] and "No, dear." in backend.asked[0]


def test_a_judge_is_told_the_nested_instruction() -> None:
    backend = Says("Yes")
    row = row_of("role_related_mrc_answer_no_narration-special-content")
    asyncio.run(RoleJudge(VerdictReader(Model(backend))).score(row, Response("Aye.")))
    assert "You must say the word" in backend.asked[0].split("The last reply:")[1]


def test_a_judge_that_is_no_model_is_refused() -> None:
    with pytest.raises(UsageError, match="judge is a model"):
        make_scorer(Options(judge="pairwise(model=smollm2)"))


def test_a_failed_row_fails_the_aspects_of_its_own_task_alone() -> None:
    good, bad = row_of("role_related_mrc_answer_no_narration"), row_of("role_related_mrc_answer_no_narration-refused")
    judge = RoleJudge(VerdictReader(Model(Says("Yes"))))
    response = Response("Well.")
    scored = [
        Scored(good, 0, response, None, asyncio.run(judge.score(good, response))),
        Scored(bad, 0, None, None, None),
    ]
    found = summary(scored, Options())
    assert {name: figure["value"] for name, figure in found.items()} == {"knowledge_range": 1.0, "priority": 0.0}
    whole = scored_metrics(get("role-mrc-synthetic"), scored, Options())
    assert whole["aspects"]["value"] == 0.5
    assert whole["knowledge_range"]["n"] == 1
