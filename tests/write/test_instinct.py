"""INSTINCT: soft prompts, the bandits' formulas against torch, and the loop's bookkeeping."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import adhere
from adhere.errors import CapabilityError, DataError, UsageError
from adhere.models.fakes import Echo
from adhere.models.model import Model
from adhere.write.instructions import bandits
from adhere.write.instructions.bandits import GaussianProcess, Network, NeuralBandit, RandomChoice, State
from adhere.write.instructions.instinct import ALL_EQUAL, NO_EFFECT, search_soft_prompt
from adhere.write.instructions.soft_prompts import Domain, SoftPromptProposer
from adhere.write.instructions.tasks import Pair, Task
from tiny_llama import save_tiny_llama

torch = pytest.importorskip("torch")

TASK = Task("upper", "em", tuple(Pair(f"word {i}", (f"WORD {i}",)) for i in range(12)))
RNG = np.random.default_rng(5)


# The network ---------------------------------------------------------------------------------------------------------


def as_torch(network: Network) -> list[Any]:
    return [torch.tensor(w, requires_grad=True) for w in network]


def forward(weights: list[Any], x: Any) -> Any:
    w1, b1, w2, b2 = weights
    return torch.relu(x @ w1 + b1) @ w2 + b2


@pytest.mark.parametrize("start", ["repository", "symmetric"])
def test_training_is_that_of_torchs_adam(start: Any) -> None:
    network = Network.drawn(6, 10, 1, start)
    x, y = RNG.normal(size=(9, 6)).astype(np.float32), RNG.normal(size=9).astype(np.float32)
    weights = as_torch(network)
    optimiser = torch.optim.Adam(weights, lr=bandits.RATE, weight_decay=0.02)
    for _ in range(40):
        optimiser.zero_grad()
        torch.nn.functional.mse_loss(forward(weights, torch.tensor(x)), torch.tensor(y)).backward()
        optimiser.step()
    for ours, theirs in zip(network.trained(x, y, 0.02, steps=40), weights, strict=True):
        np.testing.assert_allclose(ours, theirs.detach().numpy(), atol=2e-5)


def test_uncertainty_is_the_sum_over_every_weights_squared_gradient() -> None:
    network, x = Network.drawn(6, 10, 2), RNG.normal(size=(5, 6)).astype(np.float32)
    sums = Network.constant(6, 10, 0.1)
    network.add_squared_gradients(x[:3], sums)
    expected_sums = [torch.full_like(w, 0.1, dtype=torch.float64) for w in as_torch(network)]
    squares = []
    for row in x:
        weights = as_torch(network)
        forward(weights, torch.tensor(row[None]))[0].backward()
        squares.append([w.grad.double() ** 2 for w in weights])
    for row in squares[:3]:
        expected_sums = [s + g for s, g in zip(expected_sums, row, strict=True)]
    for ours, theirs in zip(sums, expected_sums, strict=True):
        np.testing.assert_allclose(ours, theirs.numpy(), rtol=1e-4)
    expected = [sum(float((g / s).sum()) for g, s in zip(row, expected_sums, strict=True)) for row in squares]
    np.testing.assert_allclose(network.weighted_squared_gradients(x, sums), expected, rtol=1e-4)


def test_a_symmetric_start_says_zero_everywhere_and_the_repositorys_does_not() -> None:
    x = RNG.normal(size=(20, 50)).astype(np.float32)
    np.testing.assert_allclose(Network.drawn(50, 30, 3, "symmetric")(x), 0, atol=1e-5)
    assert np.abs(Network.drawn(50, 30, 3, "repository")(x)).max() > 10


# The bandits ---------------------------------------------------------------------------------------------------------


def state_of(seen: list[int], scores: list[float], n: int = 60) -> State:
    hidden = np.random.default_rng(0).normal(size=(n, 12)).astype(np.float32)
    return State(hidden[:, :3], hidden, seen, scores, np.setdiff1d(np.arange(n), seen), np.random.default_rng(1))


BANDITS = {
    "neural_ucb": NeuralBandit,
    "neural_ts": lambda: NeuralBandit(thompson=True),
    "as in the repository": lambda: NeuralBandit(start="repository"),
    "gp": GaussianProcess,
    "random": RandomChoice,
}


@pytest.mark.parametrize("name", BANDITS)
def test_a_bandit_chooses_from_the_pool_and_the_same_again(name: str) -> None:
    state = state_of([3, 1, 4], [0.1, 0.9, 0.2])
    first = BANDITS[name]().choose(state)
    assert first.point in state.pool
    assert BANDITS[name]().choose(state_of([3, 1, 4], [0.1, 0.9, 0.2])) == first


def test_the_neural_bandit_finds_more_of_a_linear_reward_than_chance() -> None:
    regrets: dict[str, list[float]] = {"ours": [], "random": []}
    for seed in range(3):
        hidden = np.random.default_rng(seed).normal(size=(80, 16)).astype(np.float32)
        reward = hidden @ np.random.default_rng(100 + seed).normal(size=16)
        for name, bandit in (("ours", NeuralBandit(seed=seed)), ("random", RandomChoice())):
            rng = np.random.default_rng(seed)
            seen = [int(i) for i in rng.permutation(80)[:8]]
            while len(seen) < 17:
                pool = np.setdiff1d(np.arange(80), seen)
                seen.append(bandit.choose(State(hidden, hidden, seen, [reward[i] for i in seen], pool, rng)).point)
            regrets[name].append(reward.max() - reward[seen].max())
    assert np.mean(regrets["ours"]) < np.mean(regrets["random"])


def test_scores_in_another_unit_change_no_choice_of_the_symmetric_start() -> None:
    small = NeuralBandit().choose(state_of([3, 1, 4], [0.1, 0.9, 0.2]))
    large = NeuralBandit().choose(state_of([3, 1, 4], [-999.0, -991.0, -998.0]))
    assert small.point == large.point
    assert small.sigma is not None and large.sigma == pytest.approx(10 * small.sigma, rel=1e-3)


# The loop ------------------------------------------------------------------------------------------------------------


class Space(SoftPromptProposer):
    """A domain without a model: point i writes text number i of a cycle."""

    def __init__(self, *texts: str, points: int = 30, spoilt: int = 0) -> None:
        super().__init__(domain=points)
        self.texts, self.points, self.spoilt = texts, points, spoilt
        self.written: list[int] = []

    def open(self, writer: Any, shown: Any, seed: int = 0) -> Domain:
        hidden = np.random.default_rng(seed).normal(size=(self.points, 8)).astype(np.float32)

        def write(points: Any) -> list[tuple[str, str]]:
            self.written += list(points)
            return [(self.texts[p % len(self.texts)], f"raw {p}") for p in points]

        return Domain(hidden[:, :2], hidden, self.spoilt, write, Path("none"))


class Longest:
    """Likes long instructions; counts what it is asked."""

    name = "accuracy"
    worst = 0.0

    def __init__(self) -> None:
        self.calls = 0

    async def score(self, instruction: str, pair: Pair) -> float:
        self.calls += 1
        return float(len(instruction))


def find(space: Space, **options: Any) -> Any:
    model = Model(Echo())
    return search_soft_prompt(TASK, model, model, **{"proposer": space, "budget": 12, "initial": 5, **options})


def test_each_point_is_tried_once_and_equal_texts_are_paid_for_once() -> None:
    space, scorer = Space("Sort.", "Sort them.", "Sort them all."), Longest()
    found = find(space, scorer=scorer, pairs=4)
    assert len(space.written) == len(set(space.written)) == len(found.steps) == 12
    assert scorer.calls == found.calls == 3 * 4
    assert [row["step"] for row in found.steps] == list(range(1, 13))
    assert sum(not row["cached"] for row in found.steps) == 3
    assert all(row["mu"] is None for row in found.steps[:5])
    assert all(row["sigma"] > 0 for row in found.steps[5:])
    assert (found.best.instruction, found.best.method) == ("Sort them all.", "instinct")


def test_points_that_all_write_the_same_end_the_search_and_say_so(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "adhere"):
        found = find(Space("Sort."), scorer=Longest())
    assert len(found.steps) == 5 and found.notes == (NO_EFFECT,)
    assert "raise scale" in caplog.text


def test_equal_scores_fall_back_to_random_and_the_last_of_equals_wins() -> None:
    found = find(Space("Sort a.", "Sort b.", "Sort c."), scorer=Longest())
    assert found.notes == (ALL_EQUAL,) and len(found.steps) == 12
    assert all(row["mu"] is None for row in found.steps)
    first = {row["instruction"]: row["step"] for row in reversed(found.steps)}
    last = {row["instruction"]: row["step"] for row in found.steps}
    assert found.best.instruction == max(last, key=lambda text: last[text]) and set(first) == set(last)


def test_an_empty_text_is_scored_but_never_the_result() -> None:
    class Shortest(Longest):
        async def score(self, instruction: str, pair: Pair) -> float:
            return -float(len(instruction))

    found = find(Space("", "Sort."), scorer=Shortest())
    assert found.best.instruction == "Sort."
    with pytest.raises(DataError, match="no point"):
        find(Space(""), scorer=Shortest())


def test_spoilt_points_are_counted_and_a_small_budget_is_refused() -> None:
    assert "3 points had no finite hidden state" in find(Space("a b.", "c.", spoilt=3), scorer=Longest()).notes[0]
    with pytest.raises(UsageError, match="budget of 5 must be above the 5"):
        find(Space("a."), budget=5)


def test_a_search_ends_when_the_domain_is_used_up() -> None:
    assert len(find(Space("a.", "b c.", points=7), scorer=Longest()).steps) == 7


def test_a_writer_that_shows_no_hidden_states_is_told_of_ape() -> None:
    with pytest.raises(CapabilityError, match=r"torch:echo.*--method ape"):
        search_soft_prompt(TASK, Model(Echo()), Model(Echo()), scorer=Longest())


# The writer ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def writer(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A tiny random Llama in the torch backend."""
    return adhere.load(str(save_tiny_llama(tmp_path_factory.mktemp("tiny"))), chat=False, store=None)


def test_the_domain_is_the_same_for_the_same_seed_and_read_back_from_its_file(writer: Any, tmp_path: Path) -> None:
    space = SoftPromptProposer(dim=4, tokens=3, domain=9, folder=tmp_path)
    first = space.open(writer, TASK.induce)
    stamp = first.file.stat().st_mtime_ns
    again = space.open(writer, TASK.induce)
    assert again.file == first.file and again.file.stat().st_mtime_ns == stamp
    np.testing.assert_array_equal(first.hidden, again.hidden)
    assert first.hidden.shape == (9, 32) and first.z.shape == (9, 4) and first.dropped == 0
    assert first.z.min() >= 0 and first.z.max() <= 1
    assert len({row.tobytes() for row in first.hidden}) == 9
    other = space.open(writer, TASK.induce, seed=1)
    assert other.file != first.file


def test_the_writer_is_shown_pairs_or_asked_for_an_opening_sentence() -> None:
    pairs = SoftPromptProposer()._shown_text(TASK.induce, 0)
    assert pairs.startswith("\nInput: word") and pairs.endswith("\n\nThe instruction was to")
    assert pairs.count("Output: WORD") == 5 and "friend" not in pairs
    assert "Let's think step by step." in SoftPromptProposer(about="thinking")._shown_text(TASK.induce, 0)


def test_a_damaged_file_of_hidden_states_is_computed_again(writer: Any, tmp_path: Path) -> None:
    space = SoftPromptProposer(domain=3, folder=tmp_path)
    whole = space.open(writer, TASK.induce)
    whole.file.write_bytes(whole.file.read_bytes()[:90])
    np.testing.assert_array_equal(space.open(writer, TASK.induce).hidden, whole.hidden)


def test_hidden_states_and_texts_are_those_of_a_plain_forward_pass(writer: Any, tmp_path: Path) -> None:
    from adhere.write.instructions.soft_prompts import _WhiteBox

    white = _WhiteBox(writer)
    soft, ids = RNG.normal(size=(3, 2, 32)).astype(np.float32), [40, 41, 42]
    network = white.model
    with torch.inference_mode():
        given = torch.cat([torch.tensor(soft), network.get_input_embeddings()(torch.tensor([ids] * 3))], 1)
        states = network(inputs_embeds=given, output_hidden_states=True).hidden_states[-1][:, -1]
        expected = []
        for row in given:
            sequence, written = row[None], []
            for _ in range(12):
                token = int(network(inputs_embeds=sequence).logits[0, -1].argmax())
                if token == 1:
                    break
                written.append(token)
                sequence = torch.cat([sequence, network.get_input_embeddings()(torch.tensor([[token]]))], 1)
            expected.append(white.tokenizer.decode(written, skip_special_tokens=True))
    np.testing.assert_allclose(white.hidden(soft, ids), states.numpy(), atol=1e-5)
    for ours, theirs in zip(white.decode(soft, ids, 12), expected, strict=True):
        assert theirs.startswith(ours) and (ours == theirs or len(ours) >= 3)


def test_soft_tokens_are_on_average_as_long_as_token_embeddings(writer: Any) -> None:
    from adhere.write.instructions.soft_prompts import _WhiteBox

    white = _WhiteBox(writer)
    space = SoftPromptProposer(dim=4, tokens=3, domain=64, scale=2.0)
    soft = space._soft_tokens(space._points(0), white, 0)
    assert np.linalg.norm(soft, axis=2).mean() == pytest.approx(2 * white.norm, rel=1e-5)
    assert np.abs(soft.mean((0, 1))).mean() < 0.1 * np.abs(soft).mean()  # no direction that all share


def test_points_without_a_finite_state_are_dropped(
    writer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from adhere.write.instructions import soft_prompts

    def spoilt(self: Any, soft: np.ndarray, ids: list[int]) -> np.ndarray:
        made = np.ones((len(soft), 4), np.float32)
        made[1] = np.nan
        return made

    monkeypatch.setattr(soft_prompts._WhiteBox, "hidden", spoilt)
    domain = SoftPromptProposer(domain=5, folder=tmp_path).open(writer, TASK.induce)
    assert (len(domain.z), len(domain.hidden), domain.dropped) == (4, 4, 1)


def test_a_whole_search_runs_on_a_white_box(writer: Any, tmp_path: Path) -> None:
    space = SoftPromptProposer(domain=8, max_tokens=6, folder=tmp_path)
    found = asyncio.run(_search(writer, space))
    assert len(found.steps) <= 6 and found.best.instruction
    assert found.best.writer == writer.name


async def _search(writer: Any, space: SoftPromptProposer) -> Any:
    from adhere.write.instructions.instinct import search_soft_prompt_async

    return await search_soft_prompt_async(TASK, writer, writer, proposer=space, scorer=Longest(), budget=6, initial=3)
