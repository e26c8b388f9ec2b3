"""The four code tasks: true data, demonstrations without leaks, grades, and the published formats."""

from __future__ import annotations

import ast
import asyncio
import json
import random
from collections import Counter

import pytest

from adhere.bench.base import Options, Scored, get
from adhere.bench.code_tasks.asking import asker
from adhere.bench.code_tasks.rows import FOLDER, TASKS, instruction_of, own_items, published_items
from adhere.bench.code_tasks.scoring import CodeTaskScorer, f1, summary, the_assertion, the_sentence
from adhere.bench.code_tasks.shots import Shots
from adhere.data import jsonl
from adhere.errors import DataError, UsageError
from adhere.models.model import Model
from adhere.records import Instruction, Response, decode, encode
from adhere.sandbox import isolation, run_tests

FUNCTIONS = [row for _, row in jsonl.objects(FOLDER / "functions.jsonl")]
TEST, TRAIN = own_items("test"), own_items("train")


class Says:
    """Answers as told, and remembers what it was asked."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.asked: list[Instruction] = []

    async def answer(self, instruction: Instruction) -> Response:
        self.asked.append(instruction)
        return Response(self.text)


def grade(item, text: str, **trace) -> dict[str, float | None]:
    steps = ({"step": "choices", **trace},) if trace else ()
    score = asyncio.run(CodeTaskScorer().score(instruction_of(item), Response(text, trace=steps)))
    return {part.name: part.value for part in score.parts}


def first(task: str, target: str | None = None):
    return next(item for item in TEST if item.task == task and target in (None, item.target))


@pytest.mark.skipif(isolation().mode is None, reason="; ".join(isolation().notes))
def test_each_value_is_true_each_rewrite_equal_and_each_mutant_a_mutant():
    """In one program, in the sandbox: the functions' own calls tell them apart."""
    lines = []
    for row in FUNCTIONS:
        other = ast.parse(row["rewrite"]).body[0].name  # type: ignore[attr-defined]
        lines += [row["code"], f"assert repr({row['name']}({row['call']})) == {row['value']!r}"]
        lines += [row["rewrite"], f"assert repr({other}({row['call']})) == {row['value']!r}"]
        assert ast.dump(ast.parse(row["mutant"])) != ast.dump(ast.parse(row["code"]))
    made = asyncio.run(run_tests("", "\n".join(lines)))
    assert made.passed, made.stderr


def test_items_are_balanced_paired_and_split_by_function():
    assert len(TEST) == len(TRAIN) == 120
    assert not {item.cluster for item in TEST} & {item.cluster for item in TRAIN}
    for items in (TEST, TRAIN):
        assert Counter(item.task for item in items) == {"defect": 40, "clone": 40, "assertion": 20, "summary": 20}
        for task in ("defect", "clone"):
            assert Counter(item.target for item in items if item.task == task) == {"yes": 20, "no": 20}
        assert len({item.id for item in items}) == 120
    assert Counter(item.task for item in TEST[:12]) == {"defect": 4, "clone": 4, "assertion": 2, "summary": 2}
    assert TEST[0].cluster == TEST[1].cluster  # the two of a pair stay together under --limit


def test_bm25_finds_near_duplicates_among_many_functions():
    """200 planted cases: a function with every variable renamed and a line added (the card asks for 99 %)."""
    import inspect
    import statistics
    import textwrap

    sources = [row["code"] for row in FUNCTIONS] + [
        textwrap.dedent(inspect.getsource(f)) for f in vars(statistics).values() if inspect.isfunction(f)
    ]
    rng = random.Random(0)
    pool = [f"def f{n}(item{n}):\n    # {' '.join(rng.sample(WORDS, 6))}\n    {s}" for n in range(12) for s in sources]
    shots = Shots(pool, "bm25", 1, str)

    async def hits() -> int:
        found = 0
        for at in rng.sample(range(len(pool)), 200):
            (nearest,) = await shots.pick(f"{pool[at]}\n    return None")
            found += nearest == pool[at]
        return found

    assert asyncio.run(hits()) >= 198


WORDS = [
    f"{a}{b}" for a in ("ab", "cor", "dil", "ent", "fum", "gar", "hol", "ist") for b in ("ane", "ber", "cat", "dos")
]


@pytest.mark.parametrize("method", ["fixed", "random", "bm25"])
def test_no_item_gets_itself_or_its_double(method):
    pool = ["def a(x): return x", "def  a( x ):\n  return x", "def b(y): return y", "def c(z): return z"]

    async def picks() -> list[str]:
        return [s for seed in range(5) for s in await Shots(pool, method, 2, str, seed).pick(pool[0])]

    assert not set(asyncio.run(picks())) & set(pool[:2])


def test_fixed_is_the_same_for_all_random_is_not_and_ties_go_to_the_first():
    pool = [f"def f{n}(): return {n}" for n in range(30)]

    async def of(method, *questions, **options):
        shots = Shots(pool, method, 3, str, **options)
        return [await shots.pick(q) for q in questions]

    one, other = asyncio.run(of("fixed", "x", "y"))
    assert one == other
    one, other = asyncio.run(of("random", "x", "y"))
    assert one != other
    assert asyncio.run(of("random", "x")) == [one]
    assert asyncio.run(of("bm25", "nothing in common")) == [[pool[2], pool[1], pool[0]]]  # the nearest stands last
    assert asyncio.run(of("bm25", "f7", nearest="first"))[0][0] == pool[7]
    assert asyncio.run(of("bm25", "f7"))[0][-1] == pool[7]


def test_demonstrations_without_a_pool_are_refused():
    with pytest.raises(UsageError, match="2 demonstrations of a pool of 0"):
        Shots([], "bm25", 2, str)
    with pytest.raises(UsageError, match="unknown way"):
        Shots(["a"], "bm52", 1, str)  # type: ignore[arg-type]


def test_a_demonstration_is_of_the_same_task_and_stands_before_the_question():
    model = Says("yes")
    item = first("assertion")
    made = asyncio.run(asker(lambda: TRAIN, k=1)(Options(answerer=model), instruction_of(item)))
    shown, answer, asked = (m.text for m in model.asked[0].messages)
    assert asked == item.question
    assert "<assert>" in shown
    assert answer.startswith("assert result == ")
    assert next(s for s in made.trace if s["step"] == "demonstrations")["items"][0].startswith("assertion/")


def test_yes_and_no_are_read_from_the_words_and_from_their_probabilities():
    item = first("defect", "yes")
    assert grade(item, "Yes, there is.") == {"defect": 1.0, "parsed": 1.0}
    assert grade(item, "no") == {"defect": 0.0, "parsed": 1.0}
    assert grade(item, "Perhaps") == {"defect": 0.0, "parsed": 0.0}  # wrong, and counted as unreadable
    found = grade(item, "no", probabilities={"yes": 0.7, "no": 0.3}, mass=0.5)
    assert found["defect_by_probability"] == 1.0
    assert grade(item, "no", probabilities={"yes": None, "no": None}, mass=0.0)["defect_by_probability"] is None


def test_calibration_divides_by_what_content_free_prompts_give():
    """By hand: shares .6 and .4 of a mass of .5 are .3 and .2; their priors' means .45 and .05; .667 is less than 4."""
    item = first("defect", "no")
    blanks = [[0.6, 0.03], [0.6, 0.05], [0.15, 0.07]]
    found = grade(item, "yes", probabilities={"yes": 0.6, "no": 0.4}, mass=0.5, content_free=blanks)
    assert found["defect_by_probability"] == 0.0
    assert found["defect_by_probability_calibrated"] == 1.0
    kept = grade(item, "yes", probabilities={"yes": 0.6, "no": 0.4}, mass=0.5, content_free=[[0.0, 0.0]] * 3)
    assert kept["defect_by_probability_calibrated"] == 0.0  # blanks that favour nothing change nothing
    unseen = grade(item, "yes", probabilities={"yes": None, "no": None}, mass=0.0, content_free=blanks)
    assert unseen["defect_by_probability_calibrated"] is None
    assert "defect_by_probability_calibrated" not in grade(item, "yes", probabilities={"yes": 0.6, "no": 0.4}, mass=0.5)


def test_content_free_prompts_are_put_once_for_each_task_and_set_of_demonstrations():
    from judging_models import Judging

    backend = Judging(lambda prompt: {"yes": 0.6, "no": 0.3} if "def " in prompt else {"yes": 0.8, "no": 0.1})
    model = Model(backend, store=None)
    rows = [instruction_of(item) for item in TEST if item.task in ("defect", "clone")][:12]
    zero_shot = asker(lambda: TRAIN)

    async def ask_all() -> list[Response]:
        return [await zero_shot(Options(answerer=model), row) for row in rows]

    made = asyncio.run(ask_all())
    asked = Counter("\n".join(m.text for m in r.messages) for r in backend.requests)
    blanks = {prompt: n for prompt, n in asked.items() if "def " not in prompt}
    assert len(blanks) == 6 and set(blanks.values()) == {1}
    assert sum(asked.values()) == 2 * len(rows) + 6
    assert any(prompt.startswith("[MASK]\n\n[MASK]\n") for prompt in blanks)  # in the place of either function
    steps = [step for response in made for step in response.trace if step["step"] == "choices"]
    assert steps[0]["content_free"] == [[pytest.approx(0.8), pytest.approx(0.1)]] * 3
    assert len(steps) == len(rows)
    fresh = asyncio.run(asker(lambda: TRAIN, k=1)(Options(answerer=model), rows[0]))
    assert "content_free" in fresh.trace[-1]
    assert sum("def " not in r.messages[-1].text for r in backend.requests) == 9  # other demonstrations, other priors


@pytest.mark.weights
def test_a_run_with_a_real_model_is_calibrated_and_graded_again_without_it(smollm2):
    """SmolLM2 leans to one word whatever stands in the code's place; the saved trace is enough for the grade."""
    import adhere

    with_model = adhere.load("smollm2", store=None)
    row = instruction_of(first("defect", "yes"))
    made = asyncio.run(asker(lambda: TRAIN)(Options(answerer=with_model), row))
    (step,) = [step for step in made.trace if step["step"] == "choices"]
    assert len(step["content_free"]) == 3
    assert all(0 < p < 1 for blank in step["content_free"] for p in blank)
    saved = decode(encode(made), Response)
    parts = {p.name: p.value for p in asyncio.run(CodeTaskScorer().score(row, saved)).parts}
    mean = [sum(blank[n] for blank in step["content_free"]) / 3 for n in (0, 1)]
    lifts = [step["probabilities"][word] / prior for word, prior in zip(("yes", "no"), mean, strict=True)]
    assert parts["defect_by_probability_calibrated"] == float(lifts[0] > lifts[1])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("assert result == 3", "assert result == 3"),
        ("```python\nassert result == 3\n```", "assert result == 3"),
        ("Sure:\n    assert result == 3\nThis checks it.", "assert result == 3"),
        ("`assert result == 3`", "assert result == 3"),
        ("result == 3", "result == 3"),
        ("", ""),
    ],
)
def test_the_assertion_is_found_in_the_answer(text, said):
    assert the_assertion(text) == said


def test_an_assertion_matches_but_for_white_space():
    item = first("assertion")
    assert grade(item, item.target.replace(" == ", "=="))["assertion"] == 1.0
    assert grade(item, f"  {item.target.replace(' == ', '  ==  ')}\n") == {"assertion": 1.0, "parsed": 1.0}
    assert grade(item, item.target + "1")["assertion"] == 0.0


def test_a_summary_is_its_first_sentence():
    assert the_sentence("Here is the summary:\n\nReturns the sum. It adds them.") == "Returns the sum."
    assert the_sentence("") == ""
    item = first("summary")
    assert grade(item, item.target) == {"summary_bleu": 1.0, "summary_rouge_l": 1.0, "parsed": 1.0}
    assert grade(item, "") == {"summary_bleu": 0.0, "summary_rouge_l": 0.0, "parsed": 0.0}


def test_the_figures_together():
    def scored(item, text):
        instruction, response = instruction_of(item), Response(text)
        return Scored(instruction, 0, response, None, asyncio.run(CodeTaskScorer().score(instruction, response)))

    right = summary([scored(item, item.target) for item in TEST])
    assert right["average"]["value"] == right["clone_f1"]["value"] == 1.0
    assert right["majority"]["value"] == 0.5
    always = summary([scored(item, "yes") for item in TEST])
    assert always["clone_f1"]["value"] == pytest.approx(2 / 3)  # precision 1/2, recall 1
    assert f1([]) is None
    failed = [Scored(instruction_of(item), 0, None, None, None) for item in TEST[:4]]
    assert summary(failed)["average"]["value"] == 0.0


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The four published formats, two items each."""
    monkeypatch.setenv("ADHERE_DATA", str(tmp_path))
    place = tmp_path / "code-tasks"

    def write(name: str, *rows) -> None:
        path = place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows) + "\n")

    for split in ("train", "test"):
        write(f"defect/{split}.jsonl", {"func": "int f() {}", "target": 1}, {"func": "x" * 9000, "target": 0})
        write(f"clone/{split}.txt", "1\t2\t1", "2\t1\t0")
        write(f"summary/{split}.jsonl", {"code_tokens": ["int", "f"], "docstring_tokens": ["Adds", "."]})
        write(f"assertion/{split}/testMethods.txt", 'void t ( ) { "<AssertPlaceHolder>" ; }')
        write(f"assertion/{split}/assertLines.txt", "assertTrue ( x )")
    write("clone/data.jsonl", {"func": "int a() {}", "idx": "1"}, {"func": "int b() {}", "idx": "2"})
    return write


def test_published_formats_are_read_and_long_code_loses_its_middle(folder):
    rows = get("code-tasks-files").instructions()
    assert [row.meta["task"] for row in rows[:4]] == list(TASKS)
    by_id = {row.id: row for row in rows}
    assert by_id["defect/test/1"].references == ("yes",)
    assert by_id["defect/test/2"].meta["shortened"] is True
    assert len(by_id["defect/test/2"].prompt) < 4200
    assert "int a() {}\n\nint b() {}" in by_id["clone/test/1"].prompt
    assert by_id["assertion/test/1"].references == ("assertTrue ( x )",)
    assert "<assert>" in by_id["assertion/test/1"].prompt
    assert by_id["summary/test/1"].references == ("Adds .",)


@pytest.mark.parametrize(
    ("name", "row", "said"),
    [
        ("defect/test.jsonl", {"func": "x", "target": 7}, r"defect/test.jsonl:1: the label is 7, not 0 or 1"),
        ("defect/test.jsonl", {"target": 1}, r"test.jsonl:1: no text 'func'"),
        ("clone/test.txt", "1\t9\t1", r"test.txt:1: not two known functions"),
        ("summary/test.jsonl", {"code": "x"}, r"test.jsonl:1: no code_tokens or docstring_tokens"),
        ("assertion/test/assertLines.txt", "a\nb", "not the same number of lines"),
    ],
)
def test_broken_files_are_named_by_line(folder, name, row, said):
    folder(name, row)
    with pytest.raises(DataError, match=said):
        published_items("test")


def test_an_empty_data_folder_says_what_belongs_there(tmp_path, monkeypatch):
    monkeypatch.setenv("ADHERE_DATA", str(tmp_path))
    with pytest.raises(DataError, match="there is no code task in") as caught:
        published_items("test")
    assert "defect, clone, assertion, summary" in caught.value.hint
