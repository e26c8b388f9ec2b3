"""Linear reward heads: what they learn on MiniLM's features, and that they come back as they were saved."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from adhere.errors import DataError, UsageError
from adhere.records import Instruction, Message, Response
from adhere.score import saved
from adhere.score.resolve import resolve
from adhere.score.rewards.data import ATTRIBUTES, Pair, Rated
from adhere.score.rewards.head import KIND, RewardHead, features_of

TOPICS = ("rivers", "bread", "chess", "trains", "the moon", "bees", "snow", "violins", "salt", "maps", "tea", "glass")


def asked(topic: str) -> tuple[Message, ...]:
    return (Message("user", f"Tell me something about {topic}."),)


def pairs(topics=TOPICS) -> list[Pair]:
    """An answer that is on its topic against a refusal."""
    return [
        Pair(asked(t), f"Here is a fact: {t} are older than one thinks.", "I cannot help you with that.", 2)
        for t in topics
    ]


@pytest.fixture(scope="module")
def head() -> RewardHead:
    pytest.importorskip("tokenizers")
    return RewardHead.from_pairs(pairs(TOPICS[:8]))


def test_a_head_learns_what_is_preferred_and_knows_it_on_new_topics(head):
    unseen = pairs(TOPICS[8:])
    chosen = head.rewards([(p.messages, p.chosen) for p in unseen])
    rejected = head.rewards([(p.messages, p.rejected) for p in unseen])
    assert all(c > r for c, r in zip(chosen, rejected, strict=True))


def test_it_comes_back_from_its_folder_and_scores_the_same(head, tmp_path):
    head.save(tmp_path / "mine")
    found = resolve(str(tmp_path / "mine"))
    assert isinstance(found, RewardHead)
    rows = [(p.messages, p.chosen) for p in pairs()[:3]]
    assert found.rewards(rows) == pytest.approx(head.rewards(rows), abs=1e-6)
    score = asyncio.run(found.score(Instruction("x", asked("tea")), Response("Tea is a drink.")))
    assert score.value == pytest.approx(found.rewards([(asked("tea"), "Tea is a drink.")])[0], abs=1e-5)
    assert (score.name, score.passed) == (KIND, None)


def test_ratings_of_five_attributes_become_one_reward_by_the_authors_weights():
    pytest.importorskip("tokenizers")
    rated = [Rated(p.messages, text, {name: value + 0.1 * n for n, name in enumerate(ATTRIBUTES)})
             for p in pairs(TOPICS[:6]) for text, value in ((p.chosen, 3.0), (p.rejected, 1.0))]  # fmt: skip
    head = RewardHead.from_ratings(rated, ridge=1e-3)
    good, bad = head.rewards(
        [(asked("tea"), "Here is a fact: tea is old."), (asked("tea"), "I cannot help you with that.")]
    )
    assert good > bad
    assert head.rewards([(rated[0].messages, rated[0].response)]) == pytest.approx(
        [3 * (0.65 + 0.8 + 0.45 + 0.55 - 0.4) + 0.1 * 0.8 + 0.2 * 0.45 + 0.3 * 0.55 - 0.4 * 0.4], abs=0.1
    )
    only = RewardHead.from_ratings(rated, ["helpfulness"], ridge=1e-3)
    assert only.rewards([(rated[0].messages, rated[0].response)]) == pytest.approx([3.0], abs=0.1)
    with pytest.raises(UsageError, match="is not defined"):
        RewardHead.from_ratings(rated, ["helpfulness", "verbosity"])


def test_a_second_stage_goes_on_from_the_first_and_expo_beyond_it():
    pytest.importorskip("tokenizers")
    rated = [Rated(p.messages, p.chosen, {"helpfulness": float(n % 5)}) for n, p in enumerate(pairs())]
    first = RewardHead.from_ratings(rated, ["helpfulness"])
    second = RewardHead.from_pairs(pairs(), start=first)
    assert [stage["how"] for stage in second.config.history] == ["ratings", "pairs"]
    assert second.beyond(first, 0).direction == pytest.approx(first.direction, abs=1e-6)
    assert second.beyond(first, 1).direction == pytest.approx(second.direction, abs=1e-6)
    step = second.direction - first.direction
    assert second.beyond(first, 1.5).direction == pytest.approx(first.direction + 1.5 * step, abs=1e-6)


def test_features_do_not_depend_on_their_company_and_are_about_one_in_size():
    pytest.importorskip("tokenizers")
    rows = [(asked(t), f"{t} " * n) for n, t in enumerate(TOPICS, 1)]
    together = features_of("minilm", rows)
    alone = np.concatenate([features_of("minilm", [row]) for row in rows])
    assert together == pytest.approx(alone, abs=1e-4)
    assert 0.5 < float(np.sqrt((together**2).mean())) < 2


def test_a_folder_of_another_kind_or_shape_is_refused(tmp_path, head):
    saved.save(tmp_path / "other", "cappy", {}, {})
    with pytest.raises(DataError, match="holds no reward head but a 'cappy'"):
        RewardHead(str(tmp_path / "other"))
    config = {"features": "minilm", "outputs": ["a", "b"]}
    saved.save(tmp_path / "odd", KIND, config, {"weight": np.ones((1, 3)), "bias": np.ones(1)})
    with pytest.raises(DataError, match=r"a head of shape \(1, 3\) for 2 outputs"):
        RewardHead(str(tmp_path / "odd"))
