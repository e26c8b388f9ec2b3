"""An OpenAI-compatible server in front of any model, with a strategy around it where one is named.

    adhere serve --model smollm2 --strategy decrim          # the models "smollm2" and "smollm2+decrim"

A request goes through `guard` (keys, rates, log, metrics, errors), is read by `openai_schema`, and is answered in one
of two ways: `job` and `local` ask a model of this process or a strategy; `relay` passes the bytes on to another server
and adds verdicts where the request brings constraints. Nothing here is imported by the rest of Adhere.
"""

from adhere.serve.app import build_app
from adhere.serve.settings import Settings

__all__ = ["Settings", "build_app"]
