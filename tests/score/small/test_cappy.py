"""The small scorer: its data, its input, its training at small size, and how it is saved and used."""

from __future__ import annotations

import asyncio
import warnings
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adhere.answer import build
from adhere.answer.best_of_n import BestOfN
from adhere.engine import context
from adhere.errors import DataError, ModelError, UsageError, WeightsError
from adhere.models.fakes import Echo
from adhere.models.model import Model
from adhere.records import Instruction, Response
from adhere.score.resolve import resolve
from adhere.score.saved import read, save
from adhere.score.small.candidates import candidates
from adhere.score.small.cappy import Cappy
from adhere.score.small.data import Labelled, TaskRow, labelled, repeated
from adhere.score.small.scorer import SmallScorer
from adhere.score.texts.overlap import rouge_l

TASK = [
    TaskRow("capital of France", ("Paris",), ("Paris", "Paris France", "Lyon", "Lyon")),
    TaskRow("capital of Italy", ("Rome", "Roma"), ("Rome is it",)),
    TaskRow("capital of Spain", ("Madrid",), ()),
]


# The data builder ---------------------------------------------------------------------------------------------------


def test_positives_negatives_and_graded_samples_are_counted() -> None:
    rows = labelled(TASK, seed=1)
    by_pair = {(r.instruction, r.answer): r.label for r in rows}
    assert len(by_pair) == len(rows)  # no pair twice, so none that contradicts another
    assert Counter(r.label for r in rows)[1.0] == 4
    assert by_pair["capital of France", "Paris France"] == rouge_l("Paris France", ["Paris"]) == pytest.approx(2 / 3)
    assert by_pair["capital of Italy", "Rome is it"] == pytest.approx(0.5)  # the best over both references
    negatives = [r for r in rows if r.label == 0 and r.answer != "Lyon"]
    assert 0 < len(negatives) <= 4
    assert {r.answer for r in negatives} <= {"Paris", "Rome", "Roma", "Madrid"}


def test_without_graded_samples_there_are_only_ones_and_zeros() -> None:
    assert {r.label for r in labelled(TASK, graded=False)} == {0.0, 1.0}


short = st.text(max_size=3)
tasks = st.lists(
    st.builds(
        TaskRow, short, st.lists(short, min_size=1, max_size=3).map(tuple), st.lists(short, max_size=3).map(tuple)
    ),
    min_size=1,
    max_size=8,
)


@given(tasks, st.integers(0, 5))
def test_no_pair_comes_twice_and_a_reference_is_never_a_negative(task: list[TaskRow], seed: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            rows = labelled(task, seed=seed)
        except DataError:
            assert len({r for t in task for r in t.references}) == 1
            return
    pairs = {(r.instruction, r.answer): r.label for r in rows}
    assert len(pairs) == len(rows)
    assert all(0 <= r.label <= 1 for r in rows)
    assert all(pairs[t.instruction, reference] == 1 for t in task for reference in t.references)


def test_the_order_of_rows_is_random_but_seeded() -> None:
    assert labelled(TASK, seed=3) == labelled(TASK, seed=3)
    assert len({tuple(labelled(TASK, seed=s)) for s in range(5)}) > 1


def test_rows_are_repeated_and_cut() -> None:
    rows = labelled(TASK)
    many = repeated(rows, 3 * len(rows) + 2)
    assert len(many) == 3 * len(rows) + 2
    assert many[len(rows)] == many[0]
    assert repeated(rows, 2) == rows[:2]


def test_any_label_function_will_do() -> None:
    rows = labelled(TASK, metric=lambda text, references: float(len(text) % 2))
    assert {r.answer: r.label for r in rows}["Lyon"] == 0.0
    with pytest.raises(DataError, match=r"label of 4.* not between 0 and 1"):
        labelled(TASK, metric=lambda text, references: 4.0)
    with pytest.raises(UsageError, match="unknown metric 'bleu'"):
        labelled(TASK, metric="bleu")


def test_what_nothing_can_be_learnt_from_is_refused() -> None:
    with pytest.raises(DataError, match="row 1: Cappy needs at least one reference"):
        labelled([TaskRow("x", ())])
    with pytest.raises(DataError, match="no rows"):
        labelled([])
    with pytest.raises(DataError, match="same target"):
        labelled([TaskRow("x", ("yes",)), TaskRow("y", ("yes",))])


def test_a_single_target_is_learnt_from_samples_with_a_warning() -> None:
    with pytest.warns(UserWarning, match="no negatives"):
        rows = labelled([TaskRow("x", ("yes",), ("no", "yes indeed")), TaskRow("y", ("yes",))])
    assert len(rows) == 4


# The encoder --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def scorer() -> SmallScorer:
    try:
        return SmallScorer.pretrained()
    except WeightsError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def fresh(scorer: SmallScorer):
    """Makes untrained scorers; training replaces tensors and never changes them, so all may share the first one's."""
    return lambda: SmallScorer(dict(scorer.tensors), scorer.config, scorer.folder)


def test_pairs_are_encoded_as_bert_reads_them(scorer: SmallScorer) -> None:
    """Against transformers, segments and all, with pairs of different lengths in one call."""
    torch = pytest.importorskip("torch")
    from transformers import BertConfig, BertModel, BertTokenizerFast

    pairs = [("Name a river.", "The Rhine"), ("Say nothing", "no"), ("x " * 50, "Ärger 水 🙂 " * 9)]
    tokenizer = BertTokenizerFast(tokenizer_file=str(scorer.folder / "tokenizer.json"))
    model = BertModel(BertConfig(**scorer.config), add_pooling_layer=False).eval()
    state = {k: torch.tensor(v) for k, v in scorer.tensors.items() if k in model.state_dict()}
    model.load_state_dict(state, strict=False)
    ours = scorer.features(pairs)
    for pair, vector in zip(pairs, ours, strict=True):
        inputs = tokenizer(*pair, return_tensors="pt")
        assert inputs["input_ids"][0].tolist() == scorer.encode(*pair)[0]
        with torch.no_grad():
            expected = model(**inputs).last_hidden_state[0].mean(0).numpy()
        assert np.abs(vector - expected).max() < 1e-4


def test_a_pair_that_is_too_long_loses_the_instruction_first(scorer: SmallScorer) -> None:
    answer = scorer._tokens("the answer itself")
    ids, second = scorer.encode("word " * 5000, "the answer itself")
    assert len(ids) == 512
    assert ids[second:-1] == answer
    ids, second = scorer.encode("instruction", "word " * 5000)
    assert (len(ids), second) == (512, 2)  # nothing of the instruction is left


def test_a_fresh_scorer_says_0_and_options_tie_to_the_first(scorer: SmallScorer) -> None:
    assert scorer.score("x", ["a", "b"]) == [0.0, 0.0]
    assert scorer.classify("x", ["a", "b"]) == 0
    assert scorer.score("x", []) == []
    with pytest.raises(UsageError):
        scorer.classify("x", [])


# Learning -----------------------------------------------------------------------------------------------------------

FRUIT = ["apple", "banana", "cherry", "grape", "lemon", "mango", "melon", "orange", "peach", "pear", "plum", "kiwi"]
TOOLS = ["hammer", "saw", "drill", "wrench", "chisel", "pliers", "file", "level", "clamp", "plane", "axe", "shovel"]


def fruit_or_tool(some: slice) -> list[Labelled]:
    """An answer is good if it is of the kind that was asked for: the pair matters, neither text alone tells."""
    rows = []
    for asked, good, bad in (("Name a fruit.", FRUIT, TOOLS), ("Name a tool.", TOOLS, FRUIT)):
        rows += [Labelled(asked, word, 1.0) for word in good[some]] + [Labelled(asked, word, 0.0) for word in bad[some]]
    return rows


def squared_error(scorer: SmallScorer, rows: list[Labelled]) -> float:
    found = scorer.score_pairs([(r.instruction, r.answer) for r in rows])
    return float(np.mean([(f - r.label) ** 2 for f, r in zip(found, rows, strict=True)]))


def test_regression_learns_the_pair_and_carries_over_to_unseen_words(fresh) -> None:
    """0.25 is the error of saying one half to everything."""
    pytest.importorskip("torch")
    tuned = fresh().pretrain(fruit_or_tool(slice(0, 8)), epochs=6, batch=16)
    assert squared_error(tuned, fruit_or_tool(slice(8, 12))) < 0.15
    assert tuned.history[0]["size"] == 32 * 6


def test_the_head_alone_is_fitted_exactly_and_leaves_the_encoder(fresh) -> None:
    scorer = fresh()
    before = {k: v.copy() for k, v in scorer.tensors.items()}
    rows = fruit_or_tool(slice(0, 8))
    scorer.pretrain(rows, encoder=False)
    assert all(np.array_equal(before[k], v) for k, v in scorer.tensors.items())
    assert squared_error(scorer, rows) < 0.25
    assert scorer.history[0]["mean_squared_error"] == pytest.approx(squared_error(scorer, rows), abs=1e-3)


def test_training_refuses_bad_labels(fresh) -> None:
    with pytest.raises(DataError, match="label of 2"):
        fresh().pretrain([Labelled("x", "y", 2.0)])
    with pytest.raises(DataError, match="no rows"):
        fresh().pretrain([])


class Stuttering:
    """Draw 0 says the reference, the others stutter; knows which draw it is."""

    def __init__(self) -> None:
        self.model = Model(Echo())
        self.drawn: list[tuple[int, float | None]] = []

    async def answer(self, instruction: Instruction) -> Response:
        run = context.current()
        self.drawn.append((run.sample, run.overrides.get("temperature")))
        if run.sample == 2:
            raise ModelError("out of breath")
        return Response(instruction.references[0] + " um" * run.sample)


def test_adaptation_draws_labels_and_learns(fresh) -> None:
    generator = Stuttering()
    task = [Instruction(w, Instruction.of(f"Say {w}").messages, references=(w,)) for w in FRUIT[:6]]
    scorer = asyncio.run(fresh().adapt(task, generator, n_candidates=5, encoder=False))
    assert sorted(set(generator.drawn)) == [(0, 0.0), (1, 1.0), (2, 0.9), (3, 1.0), (4, 1.0)]
    # Draw 0 is the reference, draw 2 failed, and a negative that is the reference itself is no row.
    assert 6 + 3 * 6 <= scorer.history[0]["rows"] <= 6 + 6 + 3 * 6
    said = scorer.score("Say mango", ["mango", "mango um um um um"])
    assert said[0] > said[1]
    with pytest.raises(DataError, match="'1': Cappy needs at least one reference"):
        asyncio.run(fresh().adapt([Instruction("1", ())], generator))


def test_when_every_candidate_fails_the_error_is_raised() -> None:
    class Broken(Stuttering):
        async def answer(self, instruction: Instruction) -> Response:
            raise ModelError("gone")

    with pytest.raises(ModelError, match="gone"):
        asyncio.run(candidates(Broken(), Instruction.of("x"), 3))


# Saved and used -----------------------------------------------------------------------------------------------------


def test_a_saved_scorer_says_the_same_and_goes_wherever_a_scorer_goes(fresh, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("ADHERE_CACHE", str(tmp_path / "cache"))
    untrained = fresh()
    monkeypatch.setattr("adhere.score.small.scorer._minilm", lambda: untrained.folder)
    scorer = fresh().pretrain(fruit_or_tool(slice(0, 8)), encoder=False)
    scorer.save(tmp_path / "mine")
    scorer.save(tmp_path / "cache" / "scorers" / "fruit")
    asked, answers = "Name a fruit.", ["plum", "axe"]
    assert SmallScorer.load(tmp_path / "mine").score(asked, answers) == pytest.approx(scorer.score(asked, answers))
    assert (tmp_path / "mine" / "scorer.safetensors").stat().st_size < 10_000  # the encoder is MiniLM's own
    for spec in (f"cappy('{tmp_path / 'mine'}')", "cappy(fruit)", "fruit", str(tmp_path / "mine")):
        made = resolve(spec)
        assert isinstance(made, Cappy)
        score = asyncio.run(made.score(Instruction.of(asked), Response("plum")))
        assert score.value == pytest.approx(scorer.score(asked, answers)[0], abs=1e-5)
        assert score.passed is None
    strategy = build("best_of_n(n=2, scorer=cappy(fruit))", Model(Echo()))
    assert isinstance(strategy, BestOfN) and isinstance(strategy.scorer, Cappy)


def test_a_tuned_encoder_is_saved_whole(fresh, tmp_path) -> None:
    pytest.importorskip("torch")
    scorer = fresh().pretrain(fruit_or_tool(slice(0, 2)))
    scorer.save(tmp_path)
    again = SmallScorer.load(tmp_path)
    assert again.score("Name a tool.", ["saw"]) == pytest.approx(scorer.score("Name a tool.", ["saw"]), abs=1e-5)
    assert again.history == scorer.history


def test_a_folder_that_holds_something_else_is_refused(tmp_path) -> None:
    with pytest.raises(DataError, match=r"scorer\.json"):
        Cappy(str(tmp_path))
    save(tmp_path, "weak", {}, {"w": np.zeros(2)})
    with pytest.raises(DataError, match="no small scorer but a 'weak'"):
        SmallScorer.from_saved(read(tmp_path))
    with pytest.raises(UsageError, match="cappy needs the folder"):
        Cappy("")
