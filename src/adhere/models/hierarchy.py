"""The instruction hierarchy: system over user over what tools and documents say.

`render_documents` puts an instruction's documents, and what tools returned, into its messages. Trusted documents stand
before the question as FollowRAG puts them (Dong et al. 2024, arXiv 2410.09584): passages with titles, question last.
Untrusted text, and all text of tools, goes between fences with a key that the text cannot know, and a sentence in the
system message says who is to be obeyed. The question comes after the material, since what stands last pulls most
(prompt-injection benchmark, arXiv 2308.10819).
`adhere.answer.injections.scan` says which stretches of a document look like orders.

Not covered: no wording makes a small model safe. The fence tells a model which text is which; it enforces nothing.
"""

from __future__ import annotations

import hashlib
import re

import msgspec

from adhere.errors import UsageError
from adhere.models.prompts import Template
from adhere.records import Document, Instruction, Message, encode

__all__ = ["defused", "render_documents"]

# What chat templates mean by themselves, and our own fence: untrusted text must not be able to write either.
_CONTROL = re.compile(
    r"<(?=[|\uff5c][^|<>\n]{1,40}[|\uff5c]>|/?s>|start_of_turn|end_of_turn|bos>|eos>)"
    r"|\[(?=/?INST\]|\[(?:end of )?material\b)",
    re.I,
)


def render_documents(instruction: Instruction) -> Instruction:
    """The instruction with its documents and tool results inside its messages, each with its rank.

    Without documents and tool messages it comes back as it is. Documents are put before the text of the last user
    message; a tool message keeps its place and role. The result has no documents left, so that rendering twice is
    rendering once.

    Raises:
        UsageError: if there are documents and no user message that they could belong to.
    """
    tools = any(m.role == "tool" for m in instruction.messages)
    if not instruction.documents and not tools:
        return instruction
    key = hashlib.sha256(encode([instruction.messages, instruction.documents])).hexdigest()[:8]
    fenced = tools or any(not d.trusted for d in instruction.documents)
    messages = [_fence_tool(m, number, key) for number, m in enumerate(instruction.messages, 1)]
    if instruction.documents:
        at = max((i for i, m in enumerate(messages) if m.role == "user"), default=None)
        if at is None:
            raise UsageError(
                f"instruction '{instruction.id}' has documents and no user message", hint="Add the question about them"
            )
        messages[at] = _with_passages(messages[at], instruction.documents, key)
    if fenced:
        messages = _with_ranks(messages, Template.of("adhere.models", "doc_ranks").render(key=key))
    return msgspec.structs.replace(instruction, messages=tuple(messages), documents=())


def _with_passages(question: Message, documents: tuple[Document, ...], key: str) -> Message:
    passages = "\n\n".join(_passage(document, number, key) for number, document in enumerate(documents, 1))
    text = Template.of("adhere.models", "doc_context").render(passages=passages, question=question.text)
    if isinstance(question.content, str):
        return msgspec.structs.replace(question, content=text)
    from adhere.records import ImagePart, TextPart

    images = tuple(part for part in question.content if isinstance(part, ImagePart))
    return msgspec.structs.replace(question, content=(*images, TextPart(text)))


def _passage(document: Document, number: int, key: str) -> str:
    title = document.title or document.id or "(none)"
    if document.trusted:
        return Template.of("adhere.models", "doc_passage").render(number=number, title=title, text=document.text)
    return _fenced(document.text, title, number, key)


def _fence_tool(message: Message, number: int, key: str) -> Message:
    if message.role != "tool":
        return message
    return msgspec.structs.replace(message, content=_fenced(message.text, message.name or "(tool)", number, key))


def _fenced(text: str, title: str, number: int, key: str) -> str:
    return Template.of("adhere.models", "doc_untrusted").render(
        number=number, key=key, title=defused(" ".join(title.split())), text=defused(text)
    )


def defused(text: str) -> str:
    """The text with a space inside whatever a chat template or the fence would take for its own."""
    return _CONTROL.sub(lambda mark: f"{mark[0]} ", text)


def _with_ranks(messages: list[Message], ranks: str) -> list[Message]:
    """The sentence on ranks at the end of the system message, which is made where there is none."""
    if messages and messages[0].role == "system":
        return [Message("system", f"{messages[0].text}\n\n{ranks}"), *messages[1:]]
    return [Message("system", ranks), *messages]
