"""Runs made up for the report: several families, real spans, emoji, failed, cut and undecided rows; seeded."""

from __future__ import annotations

import json
import random
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from adhere.bench.base import Benchmark, Metric
from adhere.bench.metrics import counts, metrics
from adhere.bench.run import evaluate
from adhere.bench.run_dir import Row, Run, VerdictRow
from adhere.records import Instruction, Response, Score

TOPICS = [
    "the tides",
    "a lost umbrella",
    "growing tomatoes",
    "an old lighthouse 🗼",
    "trains in winter",
    "la météo à Québec",
]
WORDS = [
    "the",
    "water",
    "slowly",
    "returns",
    "and",
    "nobody",
    "knows",
    "why",
    "a",
    "small",
    "boat",
    "waits",
    "🌊",
    "however",
    "people",
    "walk",
    "quiet",
    "streets",
    "bread",
    "🙂",
]
KINDS = (
    ("words", "length", {"at_least": 60}, "Use at least 60 words."),
    ("no_commas", "punctuation", {}, "Do not use any commas."),
    ("keywords", "keywords", {"keywords": ["boat", "bread"]}, 'Include the words "boat" and "bread".'),
    ("forbidden", "keywords", {"words": ["however"]}, 'Never write "however".'),
    ("lowercase", "case", {}, "Answer in lower case only."),
    ("bullets", "format", {"exactly": 3}, "Use exactly 3 bullet points."),
    ("ends_with", "startend", {"phrase": "That is all."}, 'Finish with "That is all."'),
)


def _text(rng: random.Random, skill: float) -> str:
    sentences = []
    for _ in range(rng.randint(2, 9)):
        words = [rng.choice(WORDS) for _ in range(rng.randint(5, 14))]
        joined = (" " if rng.random() < skill else ", ").join(words)
        sentences.append(joined if rng.random() < skill else joined.capitalize())
    text = ". ".join(sentences) + "."
    if rng.random() < skill / 2:
        text += "\n" + "\n".join(f"* {rng.choice(WORDS)} {rng.choice(WORDS)}" for _ in range(3))
    return text + (" That is all." if rng.random() < skill else "")


def _spans(pattern: str, text: str, label: str) -> list[list[Any]]:
    return [[m.start(), m.end(), label] for m in re.finditer(pattern, text)]


def _check(kind: str, text: str) -> tuple[bool, str, list[list[Any]]]:
    """A verdict with honest spans, much simplified: these are not the checkers, only something to draw."""
    if kind == "words":
        n = len(text.split())
        return n >= 60, f"{n} words, at least 60 wanted", []
    if kind == "no_commas":
        found = _spans(",", text, "violates")
        return not found, f"{len(found)} commas, none wanted", found
    if kind == "keywords":
        found = _spans("boat|bread", text, "satisfies")
        missing = [w for w in ("boat", "bread") if w not in text]
        return not missing, f"missing: {', '.join(missing)}" if missing else "all 2 keywords found", found
    if kind == "forbidden":
        found = _spans("(?i)however", text, "violates")
        return not found, f"{len(found)} times 'however', which is forbidden", found
    if kind == "lowercase":
        found = _spans("[A-Z]+", text, "violates")
        return not found, f"{len(found)} runs of capital letters", found
    if kind == "bullets":
        found = _spans(r"(?m)^\* .*$", text, "satisfies")
        return len(found) == 3, f"{len(found)} bullet points, exactly 3 wanted", found
    found = _spans(r"That is all\.$", text, "satisfies")
    return bool(found), "ends as asked" if found else f"ends with '{text[-14:]}'", found


def make_run(
    prompts: int = 60,
    *,
    samples: int = 1,
    skill: float = 0.5,
    seed: int = 7,
    model: str = "smollm2",
    troubles: bool = True,
) -> Run:
    """A run of that many prompts; `skill` is how well the made-up model does, `troubles` adds failed and cut rows."""
    rows: list[Row] = []
    verdicts: list[VerdictRow] = []
    for p in range(prompts):
        asked = random.Random(f"prompt {p}")
        chosen = asked.sample(KINDS, asked.randint(1, 4))
        prompt = f"Write something about {asked.choice(TOPICS)}. " + " ".join(k[3] for k in chosen)
        for s in range(samples):
            rng = random.Random(f"{model} {p} {s}")
            failed = troubles and rng.random() < 0.02
            undecided = troubles and rng.random() < 0.02
            text = _text(rng, skill)
            row = [
                VerdictRow(
                    str(1000 + p), s, n, kind, family, json.dumps(args), *_verdict(kind, text, failed, undecided)
                )
                for n, (kind, family, args, _) in enumerate(chosen)
            ]
            verdicts += row
            finish = "length" if troubles and rng.random() < 0.1 else "stop"
            rows.append(_row(str(1000 + p), s, prompt, None if failed else text, row, finish))
    return Run(manifest(rows, verdicts, model, samples), rows, verdicts)


def _verdict(kind: str, text: str, failed: bool, undecided: bool) -> tuple[bool | None, bool | None, str, str]:
    if failed:
        return None, None, "no answer", "[]"
    if undecided:
        return None, None, "the language could not be told", "[]"
    passed, reason, spans = _check(kind, text)
    loose = passed or _check(kind, text.replace("*", ""))[0]
    return passed, loose, reason, json.dumps(spans)


def _row(id: str, sample: int, prompt: str, text: str | None, verdicts: list[VerdictRow], finish: str) -> Row:
    strict, loose = [v.strict for v in verdicts], [v.loose for v in verdicts]
    return Row(
        id=id, sample=sample, prompt=prompt,
        messages=json.dumps([{"role": "user", "content": prompt}]),
        constraints="[]", response=text, finish_reason="" if text is None else finish,
        prompt_tokens=40, completion_tokens=len((text or "").split()),
        error_boundary="model" if text is None else "", error_kind="ModelError" if text is None else "",
        error_message="the endpoint answered 503 eight times" if text is None else "",
        strict_all=False if False in strict else None if None in strict else True,
        loose_all=False if False in loose else None if None in loose else True,
        trace="[]", meta="{}",
    )  # fmt: skip


def manifest(rows: list[Row], verdicts: list[VerdictRow], model: str = "smollm2", samples: int = 1) -> dict[str, Any]:
    """A manifest with the real metrics of the rows."""
    found = counts(rows, verdicts)
    return {
        "schema": 1,
        "benchmark": {"name": "core", "about": "150 prompts of our own", "licence": "Apache-2.0", "paper": None,
                      "fingerprint": "5e" * 32, "headline": "prompt_strict", "prompts": found["prompts"]},
        "model": {"name": model, "engine": "llama.cpp", "quantization": "Q8_0", "digest": "ab12" * 16, "context": 2048,
                  "engine_version": "2026.10.11549", "capabilities": ["chat", "seed"], "settings": {}},
        "strategy": None,
        "sampling": {"temperature": 0.0 if samples == 1 else 0.7, "top_p": 1.0, "max_tokens": 256, "stop": []},
        "settings": {"limit": None, "samples": samples, "seed": 0, "dialect": "ifeval"},
        "counts": found,
        "cut_share": found["cut"] / len(rows) if rows else None,
        "metrics": metrics(rows, verdicts),
        "versions": {"adhere": "0.1.0", "xllamacpp": "2026.10.11549"},
        "machine": {"python": "3.11.2", "system": "Linux", "processor": "x86_64"},
    }  # fmt: skip


@pytest.fixture(scope="session")
def made_run() -> Callable[..., Run]:
    """`make_run`: a made-up run."""
    return make_run


@pytest.fixture(scope="session")
def one_answer() -> Callable[..., Run]:
    """A run of a single answer: made_answer(text, verdicts=[(kind, strict, reason, spans)], **fields of the row)."""

    def make(text: str | None, verdicts: list[tuple[str, bool | None, str, list[Any]]], **fields: Any) -> Run:
        made = [
            VerdictRow("1", 0, n, kind, "format", "{}", strict, strict, reason, json.dumps(spans))
            for n, (kind, strict, reason, spans) in enumerate(verdicts)
        ]
        row = _row("1", 0, fields.pop("prompt", "Say something."), text, made, "stop")
        row = Row(**{f: fields.get(f, getattr(row, f)) for f in row.__struct_fields__})
        return Run(manifest([row], made, fields.get("model", "smollm2")), [row], made)

    return make


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A real Chromium without a network; the test is skipped where there is none."""
    chromium, driver = shutil.which("chromium") or shutil.which("google-chrome"), shutil.which("chromedriver")
    if not chromium or not driver:
        pytest.skip("no chromium and chromedriver on this machine")
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in (
        "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
        "--disable-dev-shm-usage", "--disable-background-networking",
        "--disable-component-update", "--disable-sync", "--window-size=1280,900",
        f"--user-data-dir={tmp_path_factory.mktemp('chromium')}",
    ):  # fmt: skip
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    made = webdriver.Chrome(options, webdriver.ChromeService(driver))
    yield made
    made.quit()


class _Colours:
    """Says whether "red" occurs, and how many words there are; "?" is undecided."""

    async def score(self, instruction: Instruction, response: Response) -> Score:
        if response.text == "?":
            return Score("red", parts=(Score("red", reason="cannot be told"),))
        red = "red" in response.text
        parts = (Score("red", float(red), red), Score("words", len(response.text.split())))
        return Score("red", float(red), red, parts)


class _Saying:
    def __init__(self, texts: Sequence[str | None]) -> None:
        self.texts = texts

    async def answer(self, instruction: Instruction) -> Response:
        text = self.texts[int(instruction.id[1:])]
        if text is None:
            raise ValueError("no answer today")
        return Response(text)


@pytest.fixture
def scored_run() -> Callable[..., Run]:
    """Makes a run of a benchmark with a scorer of its own from the answers given; None fails."""

    def make(*texts: str | None) -> Run:
        asked = [
            Instruction.of(f"Name a colour, prompt {n}.", id=f"c{n}", part="odd" if n % 2 else "even")
            for n in range(len(texts))
        ]
        metrics = {"red": Metric("answers that say red"), "words": Metric("words an answer", "words")}
        benchmark = Benchmark(
            "colours", "colours", lambda: asked, headline="red", metrics=metrics, scorer=lambda _: _Colours(),
            groups=("part",),
        )  # fmt: skip
        return evaluate(benchmark, _Saying(texts))

    return make
