"""RevisEval (Zhang et al. 2024, arXiv 2410.05193): does a reference that is adapted to the answer help a judge?

Pairs of LLMBar (natural and manual), short ones at `small` since two cores must read each of them eight times. The same
small model is reviser, answerer (D.R., the direct reference) and judge; verdicts are read off label probabilities in
both orders. Arms: the judge without a reference, with D.R., with the adapted reference; and the vote of five metrics
against each reference. The paper's claim that is within reach of so small a model is that a weak reviser with metrics
does at least as well as a weak judge. Two parts need no generation: metrics against GPT-4's own answer on all 419 pairs
(figures known before), and the mechanism, where a damaged answer must be told from its undamaged self.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

import adhere
from adhere.bench.figures import plain
from adhere.bench.llmbar import LLMBAR
from adhere.data.sets import locate
from adhere.models.model import Model
from adhere.score.judges.agreement import agreement, credit
from adhere.score.judges.base import PairJudge
from adhere.score.judges.gold import Pair, read_pairs
from adhere.score.judges.meta import Meta, fair_order, judge_pairs
from adhere.score.judges.pairwise import PairwiseJudge
from adhere.score.judges.revis import DirectReference, GivenReference, RevisEval
from adhere.score.judges.revis_metrics import METRICS
from adhere.score.statistics import Comparison, compare, rate


class Size(NamedTuple):
    """Pairs judged, longest pair in characters, tokens of a revision; pairs and metrics of the fixed reference."""

    pairs: int
    characters: int
    tokens: int
    fixed: int
    metrics: tuple[str, ...]


SIZES = {
    "smoke": Size(2, 400, 12, 30, ("rouge_l", "bleu")),
    "small": Size(30, 700, 64, 419, ("cosine", "rouge_l", "bleu")),
    "medium": Size(146, 20_000, 150, 419, ("cosine", "rouge_l", "bleu")),
    "full": Size(419, 100_000, 1024, 419, tuple(METRICS)),
}
SUBSETS = ("natural", "manual")
PAPER = {
    "GPT-4 judge on LLMBar": {"reference-free": 72.6, "D.R.": 79.9, "RevisEval": 79.0},
    "tuned Llama-3.1-8B judge on LLMBar": {"reference-free": 51.1, "RevisEval, own reviser": 57.8},
    "majority of metrics, adapted references, LLMBar": 52.5,
}
KNOWN = {"cosine": 70.3, "rouge_l": 66.7, "bleu": 63.5}  # measured once on this fixture, GPT-4's direct reference


def run(scale: str, model: str) -> dict[str, Any]:
    """All arms on the same pairs, paired."""
    from adhere.engine.sync import call

    return call(_run(SIZES[scale], model, everything=scale == "full"))


async def _run(size: Size, name: str, everything: bool) -> dict[str, Any]:
    pairs = fair_order((p.subset, p) for p in read_pairs(locate(LLMBAR).path))
    chosen = [p for p in pairs if everything or (p.subset in SUBSETS and _length(p) <= size.characters)][: size.pairs]
    fixed = {m: _meta_figures(await judge_pairs(GivenReference(by=m), pairs[: size.fixed])) for m in size.metrics}
    async with adhere.load(name, max_tokens=size.tokens) as model:
        found = {arm: await judge_pairs(judge, chosen) for arm, judge in _judges(model).items()}
    return _report(chosen, found, fixed, _mechanism(pairs[: size.fixed])) | {
        "size": size._asdict() | {"pairs": len(chosen), "subsets": sorted({p.subset for p in chosen})},
        "model": msgspec.to_builtins(model.info),
        "paper": PAPER,
    }


def _judges(model: Model) -> dict[str, PairJudge]:
    return {
        "judge, no reference": PairwiseJudge(model),
        "judge, D.R.": DirectReference(model),
        "judge, adapted": RevisEval(model),
        "vote, D.R.": DirectReference(model, by="vote"),
        "vote, adapted": RevisEval(model, by="vote"),
        "vote, both adapted": RevisEval(model, by="vote", primary="both"),
        "vote, GPT-4's answer": GivenReference(by="vote"),
    }


def _length(pair: Pair) -> int:
    return len(pair.instruction.prompt) + len(pair.a) + len(pair.b)


def _mechanism(pairs: Sequence[Pair]) -> dict[str, Any]:
    """A sentence is dropped from a text; how often ROUGE-L ranks the whole above the damaged one.

    By the undamaged text itself, which a perfect reviser would write, and by an independent good answer.
    """
    right: dict[str, list[bool]] = {"adapted": [], "independent": []}
    for pair in pairs:
        whole = next(iter(pair.instruction.references), "")
        sentences = whole.split(". ")
        if not 3 <= len(sentences) <= 12 or len(right["adapted"]) >= 200:
            continue
        damaged = ". ".join(sentences[:1] + sentences[2:])
        for kind, reference in (("adapted", whole), ("independent", pair.a if pair.gold == "a" else pair.b)):
            worse, better = METRICS["rouge_l"]((damaged, whole), reference)
            right[kind].append(better > worse)
    return {kind: plain(rate(flags)) for kind, flags in right.items()}


def _meta_figures(found: Meta) -> dict[str, Any]:
    return {name: plain(value) for name, value in agreement(found.rows).items()} | {"failed": len(found.failures)}


def _report(
    pairs: Sequence[Pair], found: dict[str, Meta], fixed: dict[str, Any], mechanism: dict[str, Any]
) -> dict[str, Any]:
    figures = {arm: _meta_figures(meta) for arm, meta in found.items()}
    credits = {arm: [credit(r.gold, r.verdict) for r in meta.rows] for arm, meta in found.items()}
    free = credits["judge, no reference"]
    against_free = {arm: compare(free, values) for arm, values in credits.items() if arm != "judge, no reference"}
    differences = {arm: _plain(found) for arm, found in against_free.items()}
    differences["vote, adapted minus vote, D.R."] = _plain(compare(credits["vote, D.R."], credits["vote, adapted"]))
    revisions = _revisions(found["vote, adapted"])
    main = against_free["vote, adapted"]
    shown = "shown" if main.more_than_noise and main.difference > 0 else "not shown"
    adapted, plain_judge = _percent(figures["vote, adapted"]), _percent(figures["judge, no reference"])
    lines = [f"{arm:<22} agrees {_percent(f)}{_bias(f)}" for arm, f in figures.items()]
    lines += [f"{arm:<30} {_points(d)}" for arm, d in differences.items()]
    lines += [f"revisions: {json.dumps(revisions)}"]
    lines += [f"fixed reference (GPT-4's answer), {m}: {_percent(f)}, before {KNOWN.get(m)}" for m, f in fixed.items()]
    lines += [f"mechanism, {kind} reference: {_percent({'accuracy': f})}" for kind, f in mechanism.items()]
    return {
        "claim": "metrics against references that a weak model adapts to the answer agree with people more often than "
        "the same model judging without a reference",
        "holds": "against" if main.more_than_noise and main.difference < 0 else shown,
        "headline": f"vote of metrics against adapted references {adapted}, reference-free judge {plain_judge}: "
        f"{_points(differences['vote, adapted'])}",
        "lines": lines,
        "figures": figures,
        "differences to the judge without reference": differences,
        "revisions": revisions,
        "fixed reference": {m: f | {"known": KNOWN.get(m)} for m, f in fixed.items()},
        "mechanism": mechanism,
    }


def _revisions(found: Meta) -> dict[str, int]:
    said = [r.found.details.get("revision", "none") for r in found.rows if r.found is not None]
    return {kind: said.count(kind) for kind in ("made", "copied", "failed", "none") if kind in said}


def _plain(found: Comparison) -> dict[str, Any]:
    return {"value": round(found.difference, 4), "low": round(found.low, 4), "high": round(found.high, 4),
            "p": round(found.p_value, 4), "n": found.n}  # fmt: skip


def _percent(figures: dict[str, Any]) -> str:
    found = figures["accuracy"]
    return f"{100 * found['value']:.1f}% [{100 * found['low']:.0f}, {100 * found['high']:.0f}], n={found['n']}"


def _bias(figures: dict[str, Any]) -> str:
    if "flipped" not in figures:
        return ""
    return f"  flipped {100 * figures['flipped']['value']:.0f}%, first {100 * figures['first_preferred']['value']:.0f}%"


def _points(d: dict[str, Any]) -> str:
    return f"{100 * d['value']:+.1f} points [{100 * d['low']:+.1f}, {100 * d['high']:+.1f}], p = {d['p']}, n={d['n']}"
