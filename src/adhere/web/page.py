"""One HTML file out of a template, styles, scripts and data: what the report and the leaderboard share.

What models and data sets wrote is hostile: the data travel compressed and as base64, so no text can end the script that
holds them, the page writes them only as text nodes, and a content security policy forbids every script but ours and
every connection. Equal data give equal bytes.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import html
import re
from functools import cache
from pathlib import Path
from typing import Any

from adhere.bench.run_dir import replace_bytes
from adhere.errors import StoreError
from adhere.web.report_data import to_json

__all__ = ["assemble", "write"]

STATIC = Path(__file__).parent / "static"


def assemble(title: str, payload: Any, *, template: str, styles: tuple[str, ...], scripts: tuple[str, ...]) -> bytes:
    """The page.

    Args:
        title: Of the document.
        payload: The data, JSON-ready.
        template: A file of `static/` with the fields policy, title, style, data and script.
        styles, scripts: Files of `static/`; later scripts use what earlier ones define.
    """
    page, style, script = _static(template, styles, scripts)
    data = base64.b64encode(gzip.compress(to_json(payload), mtime=0)).decode()
    fields = {
        "policy": f"default-src 'none'; script-src {_digest(script)}; style-src {_digest(style)}; base-uri 'none'",
        "title": html.escape(title),
        "style": style,
        "data": data,
        "script": script,
    }
    # One pass: a model named "{{data}}" is a name and nothing else.
    return re.sub(r"\{\{(\w+)\}\}", lambda found: fields[found[1]], page).encode("utf-8", "replace")


def write(page: bytes, path: Path) -> None:
    """Write a page, whole or not at all.

    Raises:
        StoreError: if the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_bytes(path, page)
    except OSError as error:
        raise StoreError(f"cannot write {path}: {error.strerror or error}", hint="Choose another place") from error


@cache
def _static(template: str, styles: tuple[str, ...], scripts: tuple[str, ...]) -> tuple[str, str, str]:
    """Template, style and script."""
    script = '"use strict";\n' + "\n".join((STATIC / name).read_text("utf-8") for name in scripts)
    style = "\n".join((STATIC / name).read_text("utf-8") for name in styles)
    return (STATIC / template).read_text("utf-8"), style, script


def _digest(source: str) -> str:
    """A content security policy's name for an inline element."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()}'"
