"""Self-J's trained judge as a scorer: `self_j(path)`, or the folder's name wherever a scorer is asked for.

Ye and Ng, "Self-Judge: Selective Instruction Following with Alignment Self-Evaluation" (arXiv 2409.00935). The folder
is written by `adhere.train.self_j`: `scorer.json` (base model, scale, the prompts' digests, whose answers it was built
from, calibration scores) and `adapter/` (LoRA, PEFT format). The grade is the expected digit (`judges/digit.py`).
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

from adhere.errors import DataError
from adhere.models.prompts import Template
from adhere.records import Instruction, Response, Score
from adhere.registry import register
from adhere.roles import Answerer
from adhere.score import saved
from adhere.score.judges.digit import DigitJudge

__all__ = ["ADAPTER", "NAME", "SelfJ", "prompt_digests"]

NAME = "self_j"
ADAPTER = "adapter"
PROMPTS = ("self_j_with_reference", "self_j_without_reference", "self_j_plain")


@register(NAME, paper="self-j")
class SelfJ:
    """Grades a response from 0 to 9 by a judge that was trained on its own graded answers.

    The judge knows the answers of the model that it was built from; of another model's it may know less, and the
    reason of the score says so.

    Args:
        path: The judge's folder.
        with_reference: Show it the instruction's first reference.

    Raises:
        DataError: if the folder holds no judge, or one trained with prompts of another wording.
    """

    def __init__(self, path: str | Path, with_reference: bool = False) -> None:
        self.path = Path(path)
        self.with_reference = with_reference
        self.config = _config(self.path)

    def __repr__(self) -> str:
        return f"SelfJ({str(self.path)!r}{', with_reference=True' if self.with_reference else ''})"

    @classmethod
    def from_saved(cls, found: saved.Saved, model: Answerer | None = None) -> SelfJ:
        """The judge of a folder that was opened by its name."""
        return cls(found.folder)

    @property
    def calibration(self) -> tuple[float, ...]:
        """Its grades, without reference, of answers that it was not trained on; empty where it has none."""
        return tuple(self.config.get("calibration", ()))

    async def score(self, instruction: Instruction, response: Response) -> Score:
        """The expected digit, as `DigitJudge`. Loads the model when first asked."""
        found = await self._judge.score(instruction, response)
        built_from = self.config.get("answerer", "")
        foreign = built_from and response.model and response.model != built_from
        note = f"; the judge was built from answers of '{built_from}', this is one of '{response.model}'"
        return Score(NAME, found.value, found.passed, reason=found.reason + (note if foreign else ""))

    @cached_property
    def _judge(self) -> DigitJudge:
        from adhere.models.names import load

        # Plain text, as it was trained; the adapter is merged in torch.
        model = load(self.config["base"], engine="torch", adapter=self.path / ADAPTER, chat=False)
        return DigitJudge(model, self.config["scale"], self.with_reference)


def prompt_digests() -> dict[str, str]:
    """Which wording of the prompts this version has."""
    return {name: Template.of("adhere.score", name).digest for name in PROMPTS}


def _config(path: Path) -> dict[str, Any]:
    found = saved.read(path)
    if found.kind != NAME:
        raise DataError(f"{path / saved.CONFIG} is a scorer of kind '{found.kind}', not a Self-J judge")
    missing = {"base", "scale", "prompts"} - set(found.config)
    if missing:
        raise DataError(f"{path / saved.CONFIG} lacks {', '.join(sorted(missing))}", hint="Train the judge again")
    if found.config["prompts"] != prompt_digests():
        raise DataError(
            f"the judge in {path} was trained with prompts of another wording", hint="Train it again with this version"
        )
    return found.config
