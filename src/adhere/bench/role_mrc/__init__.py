"""RoleMRC: does a model keep to a role, to what it knows, and to orders within orders? (Lu et al. 2025, 2502.11387)

- `role-mrc`: the released test set, `role-mrc/roleMRC_test.jsonl` in the data directory (it is Junrulu/RoleMRC on
  Hugging Face).
- `role-mrc-synthetic`: ten characters of our own, each in the 18 tasks and two free chats.

Three dimensions: free chats, on-scene reading (is the answer in the passage? does the role know the field?) and ruled
chats (nested, prioritised and multi-turn instructions). Five aspects, as the released judge asks them, by `--judge` or
by programs; and the overlap with the reference, by which models should not be ranked: it rewards copying the passage.

Differences: BERTScore is left out; METEOR has no synonyms. Writing the 38k training rows, tuning on them, and the
paper's activation study are not here.
"""

from __future__ import annotations

from typing import Any

from adhere.bench.base import benchmark
from adhere.bench.role_mrc.rows import read_rows, synthetic
from adhere.bench.role_mrc.scoring import METRICS, make_scorer, summary
from adhere.data.sets import DataFile, locate
from adhere.records import Instruction

TEST = DataFile("role-mrc/roleMRC_test.jsonl", "")  # its digest is not known to us: any version
SHARED: dict[str, Any] = {
    "metrics": METRICS, "scorer": make_scorer, "summary": summary, "groups": ("dimension", "task"),
    "judge": "optional", "max_tokens": 256, "paper": "role-mrc",
}  # fmt: skip


@benchmark(
    "role-mrc", about="role play with reading, 18 kinds of task, five aspects", size=1_400, licence="MIT",
    files=(TEST,), **SHARED,
)  # fmt: skip
def released() -> list[Instruction]:
    """The released test rows."""
    return read_rows(locate(TEST).path)


@benchmark(
    "role-mrc-synthetic", about="the same tasks with ten characters of our own, and free chats", size=200,
    licence="Apache-2.0", suite=("instructions",), synthetic=True, **SHARED,
)  # fmt: skip
def own() -> list[Instruction]:
    """Our own rows."""
    return synthetic()
