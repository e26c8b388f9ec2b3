"""A base model that answers, by three rules and without training (Hewitt, Liu, Manning & Liang 2024, arXiv 2409.14254).

The model's next-token distribution is multiplied with that of a hand-written expert: the longer the answer, the
likelier its end (R1, `eos`); a few tokens are likelier or less likely everywhere (R2, `uniform`); what the answer holds
already is less likely (R3, `diversity`). Each rule can be switched off, as in the paper's ablations.

What an engine must be able to do: torch applies all three (`torch:NAME`). llama.cpp applies R2, and R3 with
`window="prompt"` (it counts the prompt's tokens too); OpenAI and vLLM apply R3.

Differences: the bonus for ending stays at its maximum, where the authors' code drops it; every row of a batch is
scored; Llama-2's token ids became strings, each with and without a space in front. A model without a chat template is
asked in the paper's format (Tulu's). Not covered: the forced "Okay!" at the start, which the published runs do not use.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

from adhere.answer.base import Strategy, Trace, base_model, draw, retold
from adhere.engine import context
from adhere.errors import CapabilityError, DataError
from adhere.models.base import Rules
from adhere.models.model import Model
from adhere.records import Instruction, Message, Response
from adhere.registry import register
from adhere.roles import Answerer

__all__ = ["DEFAULT", "ProductOfExperts", "merged", "read_rules", "tulu"]

# 15 * n / 250 for n tokens, -1.5, and Llama-2's 15 tokens.
DEFAULT = Rules(
    eos_slope=15 / 250,
    eos_max=15.0,
    tokens={"<": -4.0, "|": -4.0, "I": -5.0, "We": -3.0, "What": -5.0, "should": -6.0}
    | dict.fromkeys(("*", "-", "  ", "#", "##", "\n", "!"), 1.0),
    diversity=-1.5,
)
OURS = ("eos_slope", "eos_max", "tokens", "diversity", "window", "first_of_many")  # `words` is LengthControl's
LARGEST_FILE = 1_000_000  # bytes of a rule file


@register("product_of_experts", paper="implicit-instruction-tuning")
class ProductOfExperts(Strategy):
    """The model times a rule-based expert.

    Args:
        model: What answers; its engine must be able to apply the rules that are on.
        rules: The rules, or a TOML or JSON file with them (see `read_rules`); None is the paper's `DEFAULT`.
        eos: R1, a bonus for ending that grows with the answer.
        uniform: R2, the same scores at every position.
        diversity: R3, a penalty on every token that is there already.
    """

    def __init__(
        self,
        model: Answerer,
        rules: Rules | str | None = None,
        eos: bool = True,
        uniform: bool = True,
        diversity: bool = True,
    ) -> None:
        self.model = model
        self.rules = rules
        self.eos = eos
        self.uniform = uniform
        self.diversity = diversity
        self._all = read_rules(rules) if isinstance(rules, str) else rules or DEFAULT

    @property
    def active(self) -> Rules:
        """The rules that are switched on."""
        off: dict[str, Any] = {}
        if not self.eos:
            off |= {"eos_slope": 0.0, "eos_max": 0.0}
        if not self.uniform:
            off["tokens"] = None
        if not self.diversity:
            off["diversity"] = 0.0
        return msgspec.structs.replace(self._all, **off)

    async def check(self) -> None:
        """Make sure that the engine can apply the rules, before a run.

        Raises:
            CapabilityError: naming the rules that it cannot apply.
        """
        await super().check()
        self._require()

    async def respond(self, instruction: Instruction, trace: Trace) -> Response:
        """One call of the model, with the rules."""
        self._require()
        rules = self.active
        trace.add("rules", **{k: v for k, v in msgspec.structs.asdict(rules).items() if v})
        inner, base = self.model, base_model(self)
        if not base.chat or "chat" not in base.info.capabilities:
            instruction = retold(instruction, Message("user", tulu(instruction.messages)))
            inner = _plain(base) if inner is base else inner
        ours = {f: getattr(rules, f) for f in OURS}
        return await draw(inner, instruction, rules=merged(**ours))

    def _require(self) -> None:
        info = self.info
        missing = self.active.needs() - set(info.capabilities)
        if missing:
            switches = {"rules": "eos=false", "logit_bias": "uniform=false"}
            off = ", ".join(sorted(switches.get(m, "diversity=false") for m in missing))
            window = ' (llama.cpp can apply diversity with window = "prompt")' if "diversity" in missing else ""
            raise CapabilityError(
                f"model '{info.name}' ({info.engine}) cannot apply all rules",
                hint=f"Open it with torch, as torch:{info.name}, or switch off: {off}{window}",
            )


def merged(**changes: Any) -> Rules:
    """The rules that a strategy around this one has set, with fields of ours changed."""
    return msgspec.structs.replace(context.current().overrides.get("rules") or Rules(), **changes)


def tulu(messages: Sequence[Message]) -> str:
    """A conversation in the paper's format for base models; its tags are plain text. Ends where the answer begins."""
    turns = "".join(f"<|{m.role}|>\n{m.text}\n" for m in messages)
    return f"{turns}<|assistant|>\n"


def _plain(model: Model) -> Model:
    """The same model, continuing text instead of answering turns."""
    if not model.chat:
        return model
    made = Model(model.backend, sampling=model.sampling, store=model.store, patience=model.patience, chat=False)
    made.stats = model.stats
    return made


class _Eos(msgspec.Struct, forbid_unknown_fields=True):
    slope: float
    max: float


class _File(msgspec.Struct, forbid_unknown_fields=True):
    eos: _Eos | None = None
    tokens: dict[str, float] | None = None
    diversity: float = 0.0
    window: Literal["response", "prompt"] = "response"
    first_of_many: bool = False


def read_rules(path: str | Path) -> Rules:
    """Rules from a TOML or JSON file; what it leaves out is off.

        diversity = -1.5
        eos = { slope = 0.06, max = 15 }
        [tokens]
        "I" = -5
        "\\n" = 1

    Args:
        path: TOML, or JSON where its name ends in .json. Besides the above it may set `window` ("response" or "prompt")
            and `first_of_many` (score a string of several tokens at its first).

    Raises:
        DataError: if the file cannot be read, or does not hold rules, naming the field.
    """
    place = Path(path)
    try:
        with place.open("rb") as file:
            raw = file.read(LARGEST_FILE + 1)
        if len(raw) > LARGEST_FILE:
            raise DataError(f"{place}: a rule file of more than {LARGEST_FILE:,} bytes")
        text = raw.decode("utf-8")
        content = json.loads(text) if place.suffix == ".json" else tomllib.loads(text)
        found = msgspec.convert(content, _File)
    except OSError as error:
        raise DataError(f"{place}: {error.strerror}", hint="Name a TOML or JSON file with rules") from error
    except (ValueError, RecursionError) as error:  # of either format, of UTF-8, and of what is in it
        raise DataError(
            f"{place}: {' '.join(str(error).split())}",
            hint="Its fields: eos, tokens, diversity, window, first_of_many",
        ) from error
    eos = found.eos or _Eos(0.0, 0.0)
    return Rules(eos.slope, eos.max, found.tokens, found.diversity, found.window, first_of_many=found.first_of_many)
