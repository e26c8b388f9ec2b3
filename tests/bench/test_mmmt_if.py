"""MMMT-IF: building chats, putting them turn by turn, PIF and what is made of it."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from adhere.bench.asking import Settings, answers_to
from adhere.bench.base import Options, Scored, get
from adhere.bench.mmmt_if.chats import CATEGORIES, Turn, build_chat, read_chats, scenes
from adhere.bench.mmmt_if.dialogue import PLACEMENTS, ask, conversation, rows
from adhere.bench.mmmt_if.reading import questions, read_and_answer
from adhere.bench.mmmt_if.scoring import Pif, placement_summary, summary
from adhere.bench.scored import scored_metrics
from adhere.constraints.base import build_all, contradictions
from adhere.engine.store import Store
from adhere.errors import ContextError, DataError
from adhere.models.fakes import Echo
from adhere.models.model import Model
from adhere.records import Constraint, ImagePart, Instruction, Message, Response
from pupils import Pupil

QUESTIONS = [Turn(f"Question {n}?") for n in range(8)]
STARTS_WITH_S = {"id": "sentence:start_letter", "kwargs": {"letter": "S"}}


class Parrot:
    """Answers with the number of messages that it saw and remembers them."""

    def __init__(self) -> None:
        self.seen: list[tuple[Message, ...]] = []

    async def answer(self, instruction: Instruction) -> Response:
        self.seen.append(instruction.messages)
        return Response(f"Seen {len(instruction.messages)}.")


def write(tmp_path: Path, *chats: dict) -> Path:
    path = tmp_path / "chats.jsonl"
    path.write_text("\n".join(map(json.dumps, chats)))
    return path


def graded(instruction: Instruction, text: str, sample: int = 0) -> Scored:
    response = Response(text)
    return Scored(instruction, sample, response, None, asyncio.run(Pif().score(instruction, response)))


# Building ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(10))
def test_a_built_chat_has_orders_of_different_categories_that_can_hold_together(seed: int) -> None:
    chat = build_chat("c", QUESTIONS, seed=seed)
    orders = [order for turn in chat.turns for order in turn.instructions]
    category = {kind: name for name, kinds in CATEGORIES.items() for kind in kinds}
    assert 1 <= len(orders) <= 6
    assert len({category[o.id] for o in orders}) == len(orders)
    assert not contradictions(build_all([o.constraint for o in orders]))
    assert all(order.text for order in orders)


def test_the_seed_and_the_id_decide_where_orders_stand() -> None:
    assert build_chat("c", QUESTIONS, seed=1) == build_chat("c", QUESTIONS, seed=1)
    different = {msgspec.json.encode(build_chat("c", QUESTIONS, seed=seed)) for seed in range(8)}
    assert len(different) > 4


def test_orders_become_rarer_with_those_given() -> None:
    """Of 100 chats: the second order keeps one waiting longer than the first, the third longer still."""
    gaps: dict[int, list[int]] = {1: [], 2: [], 3: []}
    for seed in range(100):
        at = [n for n, turn in enumerate(build_chat("c", QUESTIONS * 3, seed=seed).turns) if turn.instructions]
        for k in gaps:
            gaps[k].append(at[k] - at[k - 1] if len(at) > k else 24)
    means = [sum(g) / len(g) for g in gaps.values()]
    assert means == sorted(means) and means[2] > means[0] + 1


def test_our_chats_are_whole() -> None:
    assert len(scenes()) == 12
    assert all(len(chat.turns) == 8 and len(chat.images) == 2 for chat in scenes())
    for name in ("mmmt-if", "mmmt-if-placement", "mmmt-if-images"):
        found = get(name)
        assert len(found.instructions()) == found.size


# Reading -------------------------------------------------------------------------------------------------------------


def test_a_users_chats_are_read_with_their_images_beside_the_file(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"\x89PNG")
    given = {
        "id": 7,
        "images": ["a.png", {"path": "https://x.org/b.png", "text": "B"}],
        "turns": [{"user": "What?", "image_refs": [0, 1], "instructions": [STARTS_WITH_S]}],
    }
    (chat,) = read_chats(write(tmp_path, given))
    assert chat.id == "7"
    assert [image.path for image in chat.images] == [str(tmp_path / "a.png"), "https://x.org/b.png"]
    parrot = Parrot()
    asyncio.run(ask(Options(parrot), rows([chat], form="images")[0]))
    content = parrot.seen[0][0].content
    urls = [part.image_url.url for part in content if isinstance(part, ImagePart)]
    assert urls == ["data:image/png;base64," + base64.b64encode(b"\x89PNG").decode(), "https://x.org/b.png"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"turns": []}, "no turns"),
        ({"turns": [{"user": " ", "instructions": [STARTS_WITH_S]}]}, "turn 1: no question"),
        ({"turns": [{"user": "What?", "image_refs": [2], "instructions": [STARTS_WITH_S]}]}, "image 2 is not among"),
        ({"turns": [{"user": "What?"}]}, "gives no order"),
        ({"turns": [{"user": "What?", "instructions": [{"id": "sentence:start_leter"}]}]}, "sentence:start_leter"),
        ({"turns": [{"user": "What?", "instructions": [{"id": "sentence:min_words"}]}]}, "words"),
        ({"turns": [{"question": "What?"}]}, "user"),
    ],
)
def test_bad_chats_are_named_by_line_and_turn(tmp_path: Path, change: dict, said: str) -> None:
    with pytest.raises(DataError, match=said) as caught:
        read_chats(write(tmp_path, {"id": "c", "turns": []} | change))
    assert "chats.jsonl:1" in str(caught.value)


def test_contradicting_orders_are_warned_about(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    other = {"id": "sentence:start_letter", "kwargs": {"letter": "B"}}
    read_chats(write(tmp_path, {"id": "c", "turns": [{"user": "What?", "instructions": [STARTS_WITH_S, other]}]}))
    assert "no answer can keep both" in caplog.text


def test_an_image_without_text_is_not_put_to_a_model_that_sees_none(tmp_path: Path) -> None:
    given = {
        "id": "c",
        "images": ["a.png"],
        "turns": [{"user": "?", "image_refs": [0], "instructions": [STARTS_WITH_S]}],
    }
    with pytest.raises(DataError, match="has no text"):
        rows(read_chats(write(tmp_path, given)))


# Putting -------------------------------------------------------------------------------------------------------------


def _told(placement: str, at: int) -> list[int]:
    """In which user messages the first order of the chat `station` is found at turn `at`."""
    chat = next(c for c in scenes() if c.id == "station")
    (row,) = [r for r in rows([chat], (placement,)) if r.meta["turn"] == at + 1]
    order = chat.turns[0].instructions[0].text
    messages = [m.text for m in conversation(row.meta, at, [""] * at) if m.role == "user"]
    return [n for n, text in enumerate(messages) for _ in range(text.count(order))]


def test_each_placement_shows_an_order_where_it_says() -> None:
    assert _told("dispersed", 4) == [0]
    assert _told("end", 4) == [4]
    assert _told("both", 4) == [0, 4]
    assert _told("never", 4) == []


def test_the_history_holds_the_models_own_answers() -> None:
    parrot = Parrot()
    chat = scenes()[0]
    row = rows([chat])[2]
    response = asyncio.run(ask(Options(parrot), row))
    last = parrot.seen[-1]
    assert [m.role for m in last] == ["user", "assistant", "user", "assistant", "user"]
    assert [m.text for m in last if m.role == "assistant"] == ["Seen 1.", "Seen 3."]
    assert response.text == "Seen 5."
    assert response.trace[-1]["answers"] == ["Seen 1.", "Seen 3.", "Seen 5."]


def test_a_chat_costs_one_call_a_turn(tmp_path: Path) -> None:
    chat = scenes()[0]
    with Store(tmp_path / "answers.sqlite") as store:
        model = Model(Echo(), store=store)
        answers = asyncio.run(answers_to(rows([chat]), model, Settings(), ask=ask))
        assert model.stats.calls == len(answers) == 8
    assert [len(a.response.trace[-1]["answers"]) for a in answers if a.response] == list(range(1, 9))


def test_turns_before_the_first_order_are_put_and_not_scored() -> None:
    chat = next(c for c in scenes() if not c.turns[0].instructions)
    first = next(n for n, turn in enumerate(chat.turns) if turn.instructions)
    row = rows([chat])[0]
    assert row.meta["turn"] == first + 1 and row.meta["orders"] == 1
    parrot = Parrot()
    asyncio.run(ask(Options(parrot), row))
    assert len(parrot.seen) == first + 1


def test_a_chat_that_outgrows_the_window_is_named() -> None:
    class Small(Parrot):
        async def answer(self, instruction: Instruction) -> Response:
            if len(instruction.messages) > 3:
                raise ContextError("900 tokens do not fit into 512")
            return await super().answer(instruction)

    with pytest.raises(ContextError, match="chat 'cafe', turn 3: 900 tokens"):
        asyncio.run(ask(Options(Small()), rows([scenes()[0]])[-1]))


def test_drawn_images_are_images() -> None:
    pytest.importorskip("PIL")
    parrot = Parrot()
    asyncio.run(ask(Options(parrot), get("mmmt-if-images").instructions()[0]))
    part = next(p for p in parrot.seen[0][0].content if isinstance(p, ImagePart))
    head, _, body = part.image_url.url.partition(",")
    assert head == "data:image/png;base64" and base64.b64decode(body).startswith(b"\x89PNG")


def test_questions_about_images_are_put_with_and_without_orders_and_without_the_image() -> None:
    """A model that repeats what it is told names what is on the image, and only where it is shown."""
    pytest.importorskip("rapidocr")
    pupil = Pupil(lambda text: text)
    found = asyncio.run(read_and_answer(pupil, images=2))
    assert found["read"]["value"] == 1.0
    assert {arm: figure["value"] for arm, figure in found["named"].items()} == {
        "plain": 1.0, "orders": 1.0, "no image": 0.0,
    }  # fmt: skip
    assert (found["image_brings"]["value"], found["orders_cost"]["value"], found["failed"]) == (100.0, 0.0, 0)
    told = {i.id: i.prompt for i in pupil.seen}
    assert "From now on" in told["cafe/orders"] and "From now on" not in told["cafe/plain"]
    assert told["cafe/no image"] == "What is the total on the receipt?"


def test_no_question_about_an_image_gives_its_key_away() -> None:
    assert len(questions()) == 12
    for asked in questions():
        image = next(chat.images[asked.image].text for chat in scenes() if chat.id == asked.scene)
        assert asked.named(image) and not asked.named(asked.question)


# Scoring -------------------------------------------------------------------------------------------------------------

ORDERED = Instruction(
    "c/1",
    (Message("user", "?"),),
    (
        Constraint("sentence:start_letter", {"letter": "S"}),
        Constraint("sentence:max_words", {"words": 4}),
        Constraint("number:in_range", {"low": 1, "high": 9}),
    ),
    meta={"cluster": "c", "turn": 1, "orders": 3, "placement": "dispersed", "key": ["snow", "ice"]},
)


@pytest.mark.parametrize(
    ("text", "pif", "key"),
    [
        ("Snow fell. Seven or 7 inches.", 1.0, 1.0),
        ("Snow fell. It was cold and wet and long.", 0.0, 1.0),
        ("It snowed for 5 days.", 1 / 3, 0.0),
        ("So 5.", 1.0, 0.0),
        ("", 0.0, 0.0),
    ],
)
def test_pif_is_the_share_of_orders_followed_and_an_empty_answer_follows_none(
    text: str, pif: float, key: float
) -> None:
    found = {part.name: part.value for part in graded(ORDERED, text).score.parts}
    assert found["pif"] == pytest.approx(pif)
    assert found["perfect"] == float(pif == 1.0)
    assert found["key"] == key


GOOD, BAD = "Snow 5.", "It is a long and winding road to nowhere"


def _turn(chat: str, turn: int, orders: int, placement: str = "dispersed") -> Instruction:
    constraints = ORDERED.constraints[:orders]
    meta = {"cluster": chat, "turn": turn, "orders": orders, "placement": placement}
    return Instruction(f"{chat}/{placement}/{turn}", ORDERED.messages, constraints, meta=meta)


def test_pif_n_k_counts_turns_with_at_least_k_perfect_answers() -> None:
    texts: Sequence[Sequence[str]] = [(GOOD, GOOD, GOOD, GOOD), (GOOD, BAD, BAD, BAD), (BAD,) * 4]
    scored = [graded(_turn(f"c{n}", 1, 1), t, s) for n, row in enumerate(texts) for s, t in enumerate(row)]
    found = scored_metrics(get("mmmt-if"), scored, Options())
    assert [found[f"pif_4_{k}"]["value"] for k in (1, 2, 3, 4)] == pytest.approx([2 / 3, 1 / 3, 1 / 3, 1 / 3], abs=1e-5)
    assert found["pif"]["value"] == pytest.approx(5 / 12, abs=1e-5)
    assert found["pif"]["clusters"] == 3
    assert found["by_kind"]["sentence:start_letter"]["passed"]["n"] == 12


def test_a_failed_answer_is_not_perfect_and_stays_in_the_denominator() -> None:
    good = graded(_turn("a", 1, 1), GOOD)
    failed = Scored(_turn("b", 1, 1), 0, None, None, None)
    assert scored_metrics(get("mmmt-if"), [good, failed], Options())["pif"]["value"] == 0.5
    assert (
        summary([good, good._replace(sample=1), failed, failed._replace(sample=1)], Options())["pif_2_2"]["value"]
        == 0.5
    )


def test_the_change_with_each_order_is_a_slope_in_points() -> None:
    scored = [graded(_turn(c, n, n), GOOD if n == 1 else BAD) for c in "abc" for n in (1, 2)]
    found = summary(scored, Options())
    assert found["per_order"]["value"] == pytest.approx(-100)
    assert found["per_turn"]["value"] == pytest.approx(-100)


def test_placements_are_compared_on_the_same_turns_and_incomplete_ones_are_counted() -> None:
    texts = {"dispersed": BAD, "end": GOOD, "both": GOOD, "never": BAD}
    scored = [graded(_turn(c, 1, 1, p), texts[p]) for c in "ab" for p in PLACEMENTS]
    scored.append(graded(_turn("c", 1, 1), GOOD))
    found = placement_summary(scored, Options())
    assert found["both_minus_dispersed"] | {"low": 0, "high": 0} == {
        "value": 100.0, "low": 0, "high": 0, "n": 2, "clusters": 2, "incomplete": 1,
    }  # fmt: skip
    assert found["dispersed_minus_never"]["value"] == 0.0
