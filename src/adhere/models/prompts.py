"""Prompts are data: text files beside the code that uses them, with named fields.

REFINE = Template.of("adhere.answer", "decrim_refine")      # src/adhere/answer/prompts/decrim_refine.txt
REFINE.render(request=instruction.prompt, answer=draft.text)
"""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache
from importlib.resources import files
from typing import Any, NamedTuple, Self

from adhere.errors import DataError

__all__ = ["Template"]

_FIELD = re.compile(r"\{([a-z_][a-z0-9_]*)\}")


class Template(NamedTuple):
    """A prompt with `{fields}`.

    Attributes:
        name: The file's name without `.txt`; stored with results.
        text: What stands in it, without the line break at its end.
    """

    name: str
    text: str

    @classmethod
    def of(cls, package: str, name: str) -> Self:
        """The template `prompts/<name>.txt` of a package.

        Raises:
            DataError: if there is no such file.
        """
        return cls(name, _read(package, name))

    @property
    def fields(self) -> tuple[str, ...]:
        """The names of its fields, in order."""
        return tuple(dict.fromkeys(_FIELD.findall(self.text)))

    @property
    def digest(self) -> str:
        """The first 12 hex digits of its SHA-256: which wording a result was made with."""
        return hashlib.sha256(self.text.encode()).hexdigest()[:12]

    def render(self, **fields: Any) -> str:
        """The text with each `{field}` replaced, in one pass: braces within the values mean nothing.

        Raises:
            DataError: if a field is missing or unknown.
        """
        wanted = set(self.fields)
        if wanted != set(fields):
            missing, extra = sorted(wanted - set(fields)), sorted(set(fields) - wanted)
            said = [f"lacks {', '.join(missing)}"] * bool(missing) + [f"has no {', '.join(extra)}"] * bool(extra)
            raise DataError(f"prompt '{self.name}' {' and '.join(said)}", hint=f"Its fields: {', '.join(self.fields)}")
        return _FIELD.sub(lambda found: str(fields[found[1]]), self.text)


@lru_cache(maxsize=256)
def _read(package: str, name: str) -> str:
    try:
        return files(package).joinpath("prompts", f"{name}.txt").read_text(encoding="utf-8").removesuffix("\n")
    except OSError as error:
        raise DataError(f"there is no prompt '{name}' in {package}/prompts") from error
