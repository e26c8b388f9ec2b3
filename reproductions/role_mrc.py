"""RoleMRC (Lu et al. 2025, arXiv 2502.11387): does tuning on role-reading rows teach a model to keep to its role?

(a) Matching passages to characters by MiniLM, as the paper builds its rows: is a character's own passage nearer to its
    profile than that of another field? (b) The programs that judge, against replies labelled by hand. (c) SmolLM2 tuned
    by LoRA on the rows of some of our characters; before and after on characters that were not trained on, aspect by
    aspect, paired by row. Refusing outside and answering inside are told apart, since who always refuses gets half.

Differences: LoRA in place of full tuning, a hundred rows in place of 24,000, programs in place of GPT-4; no DPO, and no
activation study.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from adhere.bench.asking import Settings, answers_to
from adhere.bench.base import Options, Scored
from adhere.bench.figures import share
from adhere.bench.role_mrc import programs
from adhere.bench.role_mrc.reactions import Reactions
from adhere.bench.role_mrc.rows import FAR, profiles, synthetic
from adhere.bench.role_mrc.scoring import RoleJudge, make_scorer
from adhere.bench.role_mrc.tasks import ASPECTS, TASKS
from adhere.bench.scored import grade_scored
from adhere.data.places import cache_dir
from adhere.engine.store import Store
from adhere.engine.sync import call
from adhere.models.base import Sampling
from adhere.models.model import Model
from adhere.models.torch_backend import Torch
from adhere.records import Instruction, digest
from adhere.score.statistics import compare
from adhere.train.lora import Settings as Lora
from adhere.train.lora import chat_row, load, tune

LABELLED = Path(__file__).parents[1] / "tests" / "bench" / "data" / "role_mrc_labelled.jsonl"


class Size(NamedTuple):
    """Characters to train on (the others are tested on), rows of each, epochs, rows to test, tokens a reply."""

    train: int
    rows: int
    epochs: int
    test: int
    tokens: int


SIZES = {
    "smoke": Size(1, 2, 1, 2, 8),
    "small": Size(6, 20, 2, 80, 64),
    "medium": Size(7, 20, 3, 60, 96),
    "full": Size(7, 20, 3, 60, 256),
}
RATE = 1e-3
PAPER = {"tuned on RoleMRC": "nested, multi-turn and priority aspects rise strongly (summary; figures not verified)"}


def run(scale: str, model: str) -> dict[str, Any]:
    """Matching, the programs' agreement, and the aspects before and after tuning."""
    return call(_run(SIZES[scale], model))


async def _run(size: Size, name: str) -> dict[str, Any]:
    cast = profiles()
    train = [row for row in synthetic(cast[: size.train]) if row.meta["task"] in TASKS][: size.rows * size.train]
    test = synthetic(cast[size.train :])[: size.test]
    judge = make_scorer(Options())
    assert isinstance(judge.by, Reactions)
    adapters = {"untuned": None, "tuned": _tuned(name, train, size)}
    scored = {arm: await _replies(name, adapter, test, size, judge) for arm, adapter in adapters.items()}
    aspects = {aspect: _both(scored, [aspect]) for aspect in ASPECTS} | {"all": _both(scored, list(ASPECTS))}
    sides = {
        "answers inside": _both(scored, ["knowledge_range"], "role_related_mrc_answer"),
        "refuses outside": _both(scored, ["knowledge_range"], "role_unrelated_mrc_refused"),
    }
    overall = aspects["all"]["tuned minus untuned"]
    shown = overall["low"] > 0 and overall["p_value"] < 0.05
    matching, agreement = _matching(judge.by, cast), await _agreement(judge.by)
    return {
        "claim": "tuned on role-reading rows, a model meets more aspects with characters that it never saw, and both "
        "answers inside its role and refuses outside more often",
        "holds": "shown" if shown and all(s["tuned minus untuned"]["difference"] > 0 for s in sides.values())
        else "against" if overall["high"] < 0 else "not shown",
        "headline": f"{name}: aspects met {_percent(aspects['all']['untuned'])} untuned, "
        f"{_percent(aspects['all']['tuned'])} tuned; {overall['sentence']}",
        "lines": [
            *(f"{what:<16} untuned {_percent(f['untuned'])}  tuned {_percent(f['tuned'])}  "
              f"{f['tuned minus untuned']['sentence']}" for what, f in (aspects | sides).items()),
            f"own passage nearer than another field's: {matching['nearer']} of {len(cast)} characters; nearest of all: "
            f"{matching['nearest']}",
            *(f"programs, {kind:<13} accuracy {a['accuracy']:.2f}, kappa {a['kappa']:.2f}, n {a['n']}"
              for kind, a in agreement.items()),
        ],
        "aspects": aspects, "sides": sides, "matching": matching, "programs": agreement, "judge": "programs",
        "n": len(test), "trained_on": len(train), "characters": [size.train, len(cast) - size.train], "paper": PAPER,
        "examples": {arm: [s.response.text for s in found[:6] if s.response] for arm, found in scored.items()},
        "full": "GPT-4 as a judge: adhere eval role-mrc --judge openai:gpt-4-turbo --data-dir DIR",
    }  # fmt: skip


def _tuned(name: str, train: Sequence[Instruction], size: Size) -> Path:
    """The folder of the adapter; kept, so that a run that was killed goes on where it was."""
    folder = cache_dir() / "reproductions" / f"role-mrc-{digest([name, train, size.epochs, RATE])[:16]}"
    if not (folder / "adapter_config.json").is_file():
        tokenizer, model = load(name)
        rows = [chat_row(tokenizer, row.messages, row.references[0]) for row in train]
        settings = Lora(rank=16, alpha=32, learning_rate=RATE, batch=4, micro=4, epochs=size.epochs)
        tune(name, rows, settings, loaded=(tokenizer, model.bfloat16())).save(folder)
    return folder


async def _replies(
    name: str, adapter: Path | None, test: Sequence[Instruction], size: Size, judge: RoleJudge
) -> list[Scored]:
    from adhere.models import hf_export

    folder = hf_export.ensure(name.removeprefix("torch:"))
    backend = Torch(folder, dtype="bfloat16", **({"adapter": adapter} if adapter else {}))
    async with Model(backend, sampling=Sampling(max_tokens=size.tokens), store=Store.default()) as model:
        answers = await answers_to(test, model, Settings())
    return await grade_scored(answers, judge, Options())


def _both(scored: dict[str, list[Scored]], aspects: Sequence[str], task: str = "") -> dict[str, Any]:
    """The share of aspects met before and after, and their paired difference; over rows, characters being too few."""
    verdicts, ids = {}, []
    for arm, found in scored.items():
        cells = [(s, p) for s in found if task in s.instruction.id and s.score for p in s.score.parts]
        kept = [(s.instruction.id, p.passed is True) for s, p in cells if p.name in aspects]
        ids, verdicts[arm] = [id for id, _ in kept], [met for _, met in kept]
    found = compare(verdicts["untuned"], verdicts["tuned"], ids)
    return {arm: share(v, ids) for arm, v in verdicts.items()} | {
        "tuned minus untuned": found._asdict()
        | {"sentence": found.sentence.replace("b is", "tuned is").replace(" a ", " untuned ")}
    }


def _matching(reactions: Reactions, cast: Sequence[Any]) -> dict[str, Any]:
    """Cosines of profiles and passages: the own passage against that of the field five places on, and against all."""
    told = [f"{p.brief}. {', '.join(p.skills)}. {p.boundaries}" for p in cast]
    cosines = reactions.embedder.backend.vectors(told) @ reactions.embedder.backend.vectors([p.passage for p in cast]).T
    own = np.diag(cosines)
    far = np.array([cosines[i, (i + FAR) % len(cast)] for i in range(len(cast))])
    nearest = int((cosines.argmax(axis=1) == np.arange(len(cast))).sum())
    return {"nearer": int((own > far).sum()), "nearest": nearest, "own": own.mean().item(), "far": far.mean().item()}


async def _agreement(reactions: Reactions) -> dict[str, Any]:
    verdicts: dict[str, list[tuple[bool, bool]]] = {}
    for row in map(json.loads, LABELLED.read_text().splitlines()):
        kind, text, answer = row["aspect"], row["text"], row.get("answer", "")
        if kind == "style":
            said = programs.in_character(text, row["narration"], row["markers"])
        else:
            known, secret = (answer if kind == "answer" else None), (answer if kind == "refuse" else None)
            said = await reactions.behaves(text, kind, known, "", secret)
        verdicts.setdefault(kind, []).append((said, row["label"]))
    found = {}
    for kind, pairs in verdicts.items():
        agreed, said, label = np.mean([(a == b, a, b) for a, b in pairs], axis=0)
        chance = said * label + (1 - said) * (1 - label)
        found[kind] = {"accuracy": float(agreed), "kappa": float((agreed - chance) / (1 - chance)), "n": len(pairs)}
    return found


def _percent(figure: dict[str, Any]) -> str:
    if figure["value"] is None:
        return "none"
    return f"{100 * figure['value']:.0f}% [{100 * figure['low']:.0f}, {100 * figure['high']:.0f}]"
