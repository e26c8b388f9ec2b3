"""What was asked and answered, read from logs: our own server's, or rows as OpenAI's clients leave them.

- `adhere serve --log-prompts` writes one JSON line a request with `said: {asked, answered}`;
- `{"request": {"messages": […]}, "response": {"choices": […]}}`, also within `body` as in OpenAI's batch files;
- `{"messages": […], "response": "…"}`, where `response` may be a chat completion too, and `output`, `completion` or
  `answer` may stand in its place; or `{"messages": […, {"role": "assistant", "content": "…"}]}`;
- `{"prompt": "…", "response": "…"}`.

Logs are untrusted: shapes are checked, nothing is executed. Lines that are no request (other paths, unforeseen errors)
are counted and left out; a request without an answer is kept, as a failed row.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from adhere.data import jsonl
from adhere.errors import DataError
from adhere.records import Instruction, Message, Response, Usage, digest

__all__ = ["Logged", "Traffic", "read_traffic"]

ANSWERS = ("response", "output", "completion", "answer")
ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant", "tool": "tool",
         "function": "tool"}  # fmt: skip

PARTS = ("text", "image_url")  # of a message that can be kept


class Logged(NamedTuple):
    """One request.

    Attributes:
        instruction: What was asked; its `meta` has the `line`, the `model` that answered, and as `cluster` a hash of
            what was asked, since the same request comes again and again in traffic.
        response: What was answered; None where nothing was.
        error: Why there is no answer.
    """

    instruction: Instruction
    response: Response | None
    error: str = ""


class Traffic(NamedTuple):
    """The requests of a log, and how many of its lines were none."""

    rows: list[Logged]
    skipped: int


def read_traffic(path: str | Path) -> Traffic:
    """Read a log; see the module's docstring for the forms.

    Raises:
        DataError: `file:line` and what is wrong; also for a log that holds no texts at all.
    """
    rows, skipped, silent = [], 0, 0
    unique = jsonl.Unique()
    for number, line in jsonl.objects(path):
        where = f"{path}:{number}"
        try:
            found = _logged(line, number)
        except (DataError, msgspec.ValidationError) as error:
            said = error.message if isinstance(error, DataError) else str(error)
            raise DataError(f"{where}: {said}", hint=getattr(error, "hint", "")) from error
        if found is None:
            skipped += 1
            silent += "status" in line and "said" not in line and str(line.get("path")).endswith("completions")
            continue
        unique.add(found.instruction.id, where)
        rows.append(found)
    if not rows:
        hint = "Start the server with --log-prompts" if silent else "Rows need `messages` (or `prompt`) and `response`"
        raise DataError(f"{path} holds no request with its text", hint=hint)
    return Traffic(rows, skipped)


def _logged(line: dict[str, Any], number: int) -> Logged | None:
    """One line as a request; None where it is none."""
    asked, answer = _sides(line)
    if asked is None:
        return None
    messages = _messages(asked)
    given = answer
    if given is None and messages and messages[-1].role == "assistant":
        messages, given = messages[:-1], messages[-1].text
    if not any(m.role == "user" for m in messages):
        raise DataError("the request has no user message")
    response, error = _response(given, line, asked)
    id = next((line[k] for k in ("id", "custom_id", "request_id") if isinstance(line.get(k), str | int)), None)
    model = (response.model if response else "") or str(asked.get("model") or line.get("model") or "")
    meta = {"line": number, "cluster": digest(messages)[:16]} | ({"model": model} if model else {})
    return Logged(Instruction(str(id) if id else f"line-{number}", messages, meta=meta), response, error)


def _sides(line: dict[str, Any]) -> tuple[dict[str, Any] | None, Any]:
    """(the request's body, the answer in whatever form it came)."""
    said = line.get("said")
    if isinstance(said, dict):  # our own server
        asked = said.get("asked")
        answers = said.get("answered") or [None]
        return (asked if isinstance(asked, dict) else None), answers[0]
    asked = line.get("request", line.get("body"))
    if isinstance(asked, dict):
        asked = asked.get("body", asked)
    if not isinstance(asked, dict):
        asked = line
    if not isinstance(asked, dict) or not ({"messages", "prompt"} & asked.keys()):
        return None, None
    return asked, next((line[name] for name in ANSWERS if line.get(name) is not None), None)


def _messages(asked: dict[str, Any]) -> tuple[Message, ...]:
    if "messages" not in asked:
        if "prompt" not in asked:
            raise DataError("the request has neither `messages` nor `prompt`")
        if not isinstance(asked["prompt"], str) or not asked["prompt"].strip():
            raise DataError("`prompt` is not a text")
        return (Message("user", asked["prompt"]),)
    turns = asked["messages"]
    if not isinstance(turns, list) or not turns:
        raise DataError("`messages` is not a list of messages")
    return tuple(_message(turn, position) for position, turn in enumerate(turns, 1))


def _message(turn: Any, position: int) -> Message:
    role = ROLES.get(str(turn.get("role"))) if isinstance(turn, dict) else None
    if role is None:
        raise DataError(f"`messages`: message {position} has no role that is known", hint=f"Roles: {', '.join(ROLES)}")
    content = turn.get("content")  # null where a tool is called
    if isinstance(content, list):
        content = [part for part in content if isinstance(part, dict) and part.get("type") in PARTS]
    return msgspec.convert({"role": role, "content": content or ""}, Message)


def _response(given: Any, line: dict[str, Any], asked: dict[str, Any]) -> tuple[Response | None, str]:
    """The answer as a response, or why there is none."""
    if isinstance(given, str):
        return Response(given, str(line.get("model") or asked.get("model") or "")), ""
    if isinstance(given, dict):
        body = given.get("body", given)
        choices = body.get("choices") if isinstance(body, dict) else None
        if isinstance(choices, list) and choices and isinstance(choices[0], dict):
            return _choice(choices[0], body), ""
        error = body.get("error") if isinstance(body, dict) else None
        if error:
            return None, str(error.get("message", error) if isinstance(error, dict) else error)[:300]
        text = next((body[k] for k in ("content", "text") if isinstance(body.get(k), str)), None)
        if text is not None:
            return Response(text), ""
        raise DataError("the response is neither a text nor a chat completion", hint="It needs `choices` or a text")
    if given is not None:
        raise DataError(f"the response is a {type(given).__name__}", hint="It is a text or a chat completion")
    return None, str(line.get("error") or f"the log has no answer (status {line.get('status', 'unknown')})")[:300]


def _choice(choice: dict[str, Any], body: dict[str, Any]) -> Response:
    message = choice.get("message")
    text = message.get("content") if isinstance(message, dict) else choice.get("text")
    usage = body.get("usage")
    counted = usage if isinstance(usage, dict) else {}
    counts = [counted.get(name) for name in ("prompt_tokens", "completion_tokens")]
    finish = choice.get("finish_reason")
    return Response(
        text if isinstance(text, str) else "",
        str(body.get("model") or ""),
        finish if isinstance(finish, str) else "stop",
        Usage(*(n if isinstance(n, int) else 0 for n in counts)),
    )
