"""FollowRAG: answer over retrieved passages, and keep one to four checkable instructions while doing so.

Dong et al. 2024, "Toward General Instruction-Following Alignment for Retrieval-Augmented Generation" (arXiv
2410.09584), its benchmark half; VIF-RAG's training data are not here. 22 kinds of instruction on four sets of questions
(Natural Questions, TriviaQA, HotpotQA, WebQSP) with three passages each. `rows.py` reads upstream's files, `build.py`
makes such a set from anybody's questions, `scoring.py` grades.

`followrag` reads upstream's files where the data directory has them (`followrag/followRAG_*.json`), else the sample of
150 items. The data are CC BY-NC 4.0: for evaluation, not for products.

What differs: the headline `average` is taken by answer, so that runs can be paired; upstream's, over all instructions,
is `paper_average`, and the figures by subset are by answer too, each from its own rows (upstream puts the overall
instruction score into one of them). Without a judge the RAG score is the recall of a known answer. Upstream's "mini"
list of 400 positions is not public with the sample.
"""

from __future__ import annotations

from adhere.bench.base import benchmark
from adhere.bench.followrag.build import build_set
from adhere.bench.followrag.rows import fair, read_rows
from adhere.bench.followrag.scoring import METRICS, make_scorer, summary
from adhere.data.places import data_dir
from adhere.data.sets import DataFile, locate
from adhere.records import Instruction

__all__ = ["SAMPLE", "build_set"]

SAMPLE = DataFile("followrag/sample.jsonl", "3ae4e1c56fc4668804fceb8fed874131ebdeb1e64eaf90b5aef3b39e6fe50cab")
ROUNDS = 2  # of our own questions, each time with other instructions


@benchmark(
    "followrag",
    about="questions over three passages with 1 to 4 verifiable instructions: kept, and answered",
    size=150,
    licence="CC-BY-NC-4.0",
    metrics=METRICS,
    scorer=make_scorer,
    summary=summary,
    groups=("type", "instructions"),
    files=(SAMPLE,),
    judge="optional",
    paper="vif-rag",
)
def followrag() -> list[Instruction]:
    """Upstream's files, or the sample."""
    place = data_dir()
    published = sorted((place / "followrag").glob("followRAG_*.json*")) if place is not None else []
    return fair([row for file in published or [locate(SAMPLE).path] for row in read_rows(file)])


@benchmark(
    "followrag-synthetic",
    about="40 questions over passages about invented things, each twice with 1 to 4 verifiable instructions",
    size=80,
    licence="Apache-2.0",
    metrics=METRICS,
    scorer=make_scorer,
    summary=summary,
    groups=("instructions",),
    judge="optional",
    max_tokens=192,
    paper="vif-rag",
    suite=("documents", "instructions"),
    synthetic=True,
)
def followrag_synthetic() -> list[Instruction]:
    """Instruct-qa's synthetic questions with instructions of our own drawing."""
    from adhere.bench.instruct_qa import synthetic_questions

    return build_set(synthetic_questions(), rounds=ROUNDS, name="synthetic")
