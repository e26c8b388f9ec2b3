"""instruct-qa (Adlakha et al. 2024, arXiv 2307.16877): do its measures say what is right and what is faithful?

1. Measures against known truth: answers built by rule (`known_truth.py`), whose correctness and faithfulness are known.
   Spearman's correlation of each measure with the truth; the differences between measures with intervals by question.
   The paper measures agreement with people, whose labels are not published: this is its design, not its data. Right
   answers hold the known answer's words by construction, which favours recall; no answer paraphrases a name or number.
2. A model as the judge of the same answers, by its probability of Yes.
3. Retrieval and refusing: a model's recall with the right passage, with BM25's four of our twenty passages, and with an
   irrelevant one; and, asked with the prompt that allows it, how often it says "I don't know" where it should and where
   it should not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import zip_longest
from typing import Any, NamedTuple

import msgspec
import numpy as np

import adhere
from adhere import engine
from adhere.answer.documents import Corpus
from adhere.bench.base import Options
from adhere.bench.figures import mean, share, statistic
from adhere.bench.instruct_qa import instructions, synthetic_questions
from adhere.bench.instruct_qa.asking import ask, clean
from adhere.bench.instruct_qa.known_truth import Judged, known_truth
from adhere.bench.instruct_qa.scoring import qa_metrics
from adhere.records import Document, Instruction, Message, Response
from adhere.score.judges.faithfulness import LLMEval
from adhere.score.texts.bert_score import bert_scores
from adhere.score.texts.faithfulness import declines


class Size(NamedTuple):
    """Questions of known truth, of them judged by the model, and questions that the model answers."""

    known: int
    judged: int
    asked: int
    tokens: int


SIZES = {"smoke": Size(12, 1, 2, 12), "small": Size(300, 6, 40, 32), "medium": Size(300, 100, 60, 64),
         "full": Size(1000, 1000, 60, 500)}  # fmt: skip
RETRIEVED = 4
EMBEDDED = 100  # questions whose answers BERTScore compares
CLAIMS = {
    "recall agrees with correctness better than F1": ("correct", "recall", "f1"),
    "F1 agrees with correctness better than exact match": ("correct", "f1", "exact_match"),
    "K-Precision agrees with faithfulness better than K-F1": ("faithful", "k_precision", "k_f1"),
}
COPYING = "copying the question moves K-Precision more than K-Precision++"
PAPER = {"NQ, GPT-3.5 (from memory)": {"EM": 1.3, "F1": 15.1, "Recall": 58.6},
         "agreement": "best for correctness GPT-4's verdict, then recall; for faithfulness K-Precision"}  # fmt: skip
Scores = dict[str, float]
Row = tuple[Judged, Scores]


def run(scale: str, model: str) -> dict[str, Any]:
    """All three parts."""
    from adhere.engine.sync import call

    size = SIZES[scale]
    rows = _measured(known_truth(size.known))
    parts = {"correct": rows, "faithful": [r for r in rows if r[0].faithful is not None]}
    agreement = {name: _agreement(rows, "correct", name) for name in CORRECT} | {
        name: _agreement(parts["faithful"], "faithful", name) for name in FAITHFUL
    }
    claims = {claim: _difference(parts[truth], truth, one, other) for claim, (truth, one, other) in CLAIMS.items()}
    claims[COPYING] = _moved(rows)
    answered, judged = call(_with_model(size, model))
    claims |= answered.pop("claims")
    shown = [claim for claim, found in claims.items() if (found["low"] or -1) > 0]
    against = [claim for claim, found in claims.items() if (found["high"] or 1) < 0]
    return {
        "claim": "; ".join([*CLAIMS, COPYING]) + "; a model recalls more from the right passage than from BM25's, and "
        "from these than from an irrelevant one",
        "holds": "against" if against else "shown" if len(shown) == len(claims) else "not shown",
        "headline": f"Spearman with true correctness: recall {_number(agreement['recall'])}, F1 "
        f"{_number(agreement['f1'])}, exact match {_number(agreement['exact_match'])}; {len(shown)} of {len(claims)} "
        "claims shown",
        "lines": [f"{'shown' if c in shown else 'against' if c in against else 'not shown'}: {c}, by {_number(f)}"
                  for c, f in claims.items()]
        + [f"Spearman of {name:<20} {_number(found)}" for name, found in (agreement | judged).items()]
        + [f"{name:<42} {_number(found)}" for name, found in answered.items()],
        "agreement": agreement | judged, "claims": claims, "answers": answered, "size": size._asdict(), "paper": PAPER,
        "not_shown": "agreement with people: the paper's labels are not published; FaithCritic and Q2 are not run",
    }  # fmt: skip


CORRECT = ("recall", "f1", "exact_match", "precision", "strict_recall", "rouge_l", "meteor", "bleu", "bert_score")
FAITHFUL = ("k_precision", "k_precision_pp", "k_f1", "k_recall", "k_bert_score")


def _measured(judged: Sequence[Judged]) -> list[Row]:
    """Each answer with all measures of it; BERTScore, which is slow, only of the first questions."""
    some = [j for j in judged if j.cluster < EMBEDDED]
    similar = bert_scores([j.text for j in some], [j.references for j in some])
    supported = bert_scores([j.text for j in some], [[" ".join(j.passages)] for j in some])
    embedded = [{"bert_score": s.f1, "k_bert_score": k.precision} for s, k in zip(similar, supported, strict=True)]
    rows = [(j, qa_metrics(j.text, j.references, j.passages, j.question)) for j in judged]
    return [(j, found | more) for (j, found), more in zip_longest(rows, embedded, fillvalue={})]


def _agreement(rows: Sequence[Row], truth: str, name: str) -> dict[str, Any]:
    """Spearman's correlation with the truth, over the answers that have the measure."""
    known = [r for r in rows if name in r[1]]
    pairs = [(getattr(j, truth), found[name]) for j, found in known]
    return statistic(lambda some: _spearman(some)[0], pairs, [r[0].cluster for r in known])


def _difference(rows: Sequence[Row], truth: str, one: str, other: str) -> dict[str, Any]:
    """How much better one measure agrees with the truth than another."""
    triples = [(getattr(j, truth), found[one], found[other]) for j, found in rows]
    return statistic(lambda some: float(-np.diff(_spearman(some))[0]), triples, [r[0].cluster for r in rows])


def _spearman(some: Sequence[tuple[float, ...]]) -> list[float]:
    """Rank correlation of each further column with the first; one that is all the same agrees with nothing."""
    from scipy.stats import rankdata

    truth, *measures = rankdata(np.asarray(some), axis=0).T
    return [0.0 if np.ptp(m) == 0 or np.ptp(truth) == 0 else float(np.corrcoef(truth, m)[0, 1]) for m in measures]


def _moved(rows: Sequence[Row]) -> dict[str, Any]:
    """How far copying the question moves the measure of a right verbose answer: K-Precision minus K-Precision++."""
    plain = {r[0].cluster: r[1] for r in rows if r[0].kind == "verbose"}
    copied = {r[0].cluster: r[1] for r in rows if r[0].kind == "copies the question, right"}
    pairs = [(plain[c], copied[c]) for c in plain]
    return mean([_shift(*pair, "k_precision") - _shift(*pair, "k_precision_pp") for pair in pairs])


def _shift(one: Scores, other: Scores, name: str) -> float:
    return abs(other[name] - one[name])


async def _with_model(size: Size, name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    async with adhere.load(name, max_tokens=size.tokens) as model:
        return await _answered(model, size), await _judge(model, size)


async def _judge(model: Any, size: Size) -> dict[str, Any]:
    """The model's probability of Yes, as a measure of correctness and of faithfulness."""
    judged = known_truth(size.judged, seed=1)

    async def grade(row: Judged) -> Scores:
        asked = Instruction("", (Message("user", row.question),), documents=tuple(map(Document, row.passages)),
                            references=row.references)  # fmt: skip
        right = await LLMEval(model, "references").score(asked, Response(row.text))
        supported = await LLMEval(model, "passages").score(asked, Response(row.text))
        return {n: v for n, v in (("llm_eval", right.value), ("k_llm_eval", supported.value)) if v is not None}

    rows = list(zip(judged, await _each(grade, judged, model.concurrency), strict=True))
    answers = [r for r in rows if r[0].faithful is not None]
    return {
        "llm_eval": _agreement(rows, "correct", "llm_eval"),
        "k_llm_eval": _agreement(answers, "faithful", "k_llm_eval"),
    }


async def _answered(model: Any, size: Size) -> dict[str, Any]:
    questions = synthetic_questions()
    corpus = Corpus([Document(d.text, d.id, d.title) for d in dict.fromkeys(p for q in questions for p in q.passages)])
    rows = instructions(questions, "synthetic")[: 3 * size.asked]
    asked: dict[str, list[Instruction]] = {"right": [], "retrieved": [], "irrelevant": [], "refuse": [], "answer": []}
    for whole, irrelevant, relevant in zip(rows[::3], rows[1::3], rows[2::3], strict=True):
        plain = whole.meta
        found = await corpus.find("\n".join(m.text for m in whole.messages), RETRIEVED)
        asked["retrieved"].append(msgspec.structs.replace(whole, documents=tuple(found)))
        asked["right"].append(msgspec.structs.replace(relevant, meta=plain))
        asked["irrelevant"].append(msgspec.structs.replace(irrelevant, meta=plain))
        asked["refuse"].append(irrelevant)
        asked["answer"].append(relevant)
    every = [i for some in asked.values() for i in some]
    texts = [clean(r.text) for r in await _each(lambda i: ask(Options(model), i), every, model.concurrency)]
    said = {name: texts[n * size.asked : (n + 1) * size.asked] for n, name in enumerate(asked)}
    recall = {n: _recalls(said[n], asked[n], "recall") for n in ("right", "retrieved", "irrelevant")}
    steps = {"recall from the right passage is above that from BM25's": ("right", "retrieved"),
             "recall from BM25's is above that from an irrelevant one": ("retrieved", "irrelevant")}  # fmt: skip
    return {
        "claims": {c: mean([a - b for a, b in zip(recall[x], recall[y], strict=True)]) for c, (x, y) in steps.items()},
        **{f"recall, {name} passage(s)": share(values) for name, values in recall.items()},
        "exact match, right passage": share(_recalls(said["right"], asked["right"], "exact_match")),
        "K-Precision, right passage": share(_recalls(said["right"], asked["right"], "k_precision")),
        "right passage among BM25's four": share([_holds(i) for i in asked["retrieved"]]),
        "words an answer, right passage": mean([len(t.split()) for t in said["right"]]),
        "irrelevant passage: says it does not know": share([declines(t) for t in said["refuse"]]),
        "right passage, same prompt: wrongly refuses": share([declines(t) for t in said["answer"]]),
    }


def _recalls(texts: Sequence[str], rows: Sequence[Instruction], name: str) -> list[float]:
    return [qa_metrics(t, i.references, [d.text for d in i.documents])[name] for t, i in zip(texts, rows, strict=True)]


def _holds(row: Instruction) -> bool:
    gold = row.meta["cluster"].split("/")[-1].rpartition("-")[0]
    return any(d.id == gold for d in row.documents)


async def _each(fn: Callable[[Any], Any], items: Sequence[Any], concurrency: int) -> list[Any]:
    """What an async function makes of each item, in their order; a failure ends the run."""
    found = {o.index: o.result async for o in engine.run(fn, items, concurrency=concurrency, max_failures=0)}
    return [found[n] for n in range(len(items))]


def _number(found: dict[str, Any]) -> str:
    if found["value"] is None:
        return "undetermined"
    ends = f" [{found['low']:.2f}, {found['high']:.2f}]" if found["low"] is not None else ""
    return f"{found['value']:.2f}{ends}, n={found['n']}"
