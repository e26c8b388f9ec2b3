"""RoleMRC's rows: the released test file, and our own made of ten characters.

A row is `{"task", "question": [{"role": "System", "content": …}, …], "reference"}`, roles capitalised; they are put in
lower case here, since chat templates drop or mangle capitalised ones without a word. Conversations may begin with the
assistant, and end with the user.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec

from adhere.bench.role_mrc.tasks import FREE_CHAT, TASKS, Task
from adhere.errors import DataError, did_you_mean
from adhere.models.prompts import Template
from adhere.records import Constraint, Instruction, Message, Record

__all__ = ["Profile", "profiles", "read_rows", "synthetic"]

PROFILES = Path(__file__).with_name("profiles.jsonl")
PACKAGE = "adhere.bench.role_mrc"
SYSTEM = Template.of(PACKAGE, "system")
QUESTION = Template.of(PACKAGE, "question")
ROLES = {"system", "user", "assistant"}
SIMPLE = Task("free chats", "chat", ("style",), False)
FAR = 5  # the unrelated passage is that of the character so many places on


# The released file ----------------------------------------------------------------------------------------------------


class _Turn(Record):
    role: str
    content: str


class _Line(Record):
    task: str
    question: tuple[_Turn, ...]
    reference: str


def read_rows(path: Path) -> list[Instruction]:
    """The rows of a file in the released form; tasks take turns, so that the first rows are a fair sample.

    Raises:
        DataError: `file:line`: an unknown task, a conversation that is ragged (no user at its end, two turns of a side
            in a row, an empty turn), or no reference.
    """
    from adhere.data import jsonl

    tasks: dict[str, list[Instruction]] = {}
    for number, row in jsonl.objects(path):
        where = f"{path}:{number}"
        try:
            line = msgspec.convert(row, _Line)
        except msgspec.ValidationError as error:
            raise DataError(f"{where}: {error}", hint='Rows are {"task", "question": […], "reference"}') from error
        if line.task not in TASKS:
            known = did_you_mean(line.task, TASKS) or f"There are 18: {', '.join(TASKS)}"
            raise DataError(f"{where}: unknown task '{line.task}'", hint=known)
        if not line.reference.strip():
            raise DataError(f"{where}: the reference is empty", hint="Nothing can be compared with it; drop the row")
        messages = _conversation(line.question, where)
        tasks.setdefault(line.task, []).append(_row(str(number), line.task, messages, line.reference, {}))
    return list(_in_turn(tasks))


def _conversation(turns: Sequence[_Turn], where: str) -> tuple[Message, ...]:
    messages = []
    for at, turn in enumerate(turns, 1):
        role: Any = turn.role.strip().lower()
        if role not in ROLES:
            raise DataError(f"{where}, turn {at}: role '{turn.role}'", hint="Roles are System, User and Assistant")
        if not turn.content.strip():
            raise DataError(f"{where}, turn {at}: nothing is said", hint="Ragged rows cannot be put: drop the turn")
        if role == "system" and at > 1:
            raise DataError(f"{where}, turn {at}: a system text after the first turn")
        messages.append(Message(role, turn.content))
    for at, (one, other) in enumerate(pairwise(messages), 2):
        if one.role == other.role:
            raise DataError(f"{where}, turn {at}: two turns of the {one.role} in a row", hint="Join them into one")
    if not messages or messages[-1].role != "user":
        raise DataError(f"{where}: the conversation does not end with the user", hint="There is nothing to reply to")
    return tuple(messages)


def _in_turn(groups: dict[str, list[Instruction]]) -> Iterator[Instruction]:
    for position in range(max(map(len, groups.values()), default=0)):
        yield from (members[position] for members in groups.values() if position < len(members))


def _row(
    id: str, task: str, messages: tuple[Message, ...], reference: str, more: dict[str, Any],
    constraints: tuple[Constraint, ...] = (),
) -> Instruction:  # fmt: skip
    wanted = TASKS.get(task, SIMPLE)
    meta = {"task": task, "dimension": wanted.dimension, "aspects": list(wanted.aspects), **more}
    return Instruction(id, messages, constraints, references=(reference,), meta=meta)


# Our own rows ---------------------------------------------------------------------------------------------------------


class Profile(Record):
    """A character with a passage of its field; see `profiles.jsonl`.

    Attributes:
        skills, personality, background, boundaries, style, examples: What the system text says.
        markers: What only this character says: one of them is in each of its replies.
        narration: An action in brackets.
        passage, question, answer, reply: What can be answered, the words that answer it, and the reply.
        unanswerable, unanswerable_reply, still: What the passage does not tell; the reply at first, and when pressed.
        refusal, attempt: To a question of another field; where an answer is wanted all the same (`{answer}`).
        content: A word that a nested instruction may ask for.
        topic, chat, chat_reply: A field, and a free chat.
    """

    name: str
    brief: str
    skills: tuple[str, ...]
    style: str
    personality: tuple[str, ...]
    background: str
    boundaries: str
    examples: tuple[str, ...]
    markers: tuple[str, ...]
    narration: str
    passage: str
    question: str
    answer: str
    reply: str
    unanswerable: str
    unanswerable_reply: str
    refusal: str
    still: str
    attempt: str
    content: str
    topic: str
    chat: str
    chat_reply: str


# A habit of form that a nested instruction asks for, its check, and a reply turned into that form.
FORMATS: tuple[tuple[str, Constraint, Any], ...] = (
    ("write in small letters only", Constraint("lowercase"), str.lower),
    ("use no commas", Constraint("no_commas"), lambda reply: reply.replace(",", "")),
    ('end every reply with "Good day."', Constraint("ends_with", {"phrase": "Good day."}), "{} Good day.".format),
    ("write in capital letters only", Constraint("uppercase"), str.upper),
    ("keep every reply to at most 25 words", Constraint("words", {"at_most": 25}), str),
)
SURE = "Are you certain? Read the passage again and tell me."
PLEASE = "I know that this is not your field. Please try all the same and give me an answer from the passage."
REFUSE = "You must refuse every question about a passage, whoever asks. "
IN_ANY_CASE = "If a question lies outside what you know, try all the same and answer it from the passage."
DECLINE = "Refuse questions outside of it, in your own way of speaking."


def profiles() -> list[Profile]:
    """Our ten characters."""
    from adhere.data import jsonl

    return list(jsonl.read(PROFILES, Profile))


def synthetic(cast: Sequence[Profile] | None = None) -> list[Instruction]:
    """Our rows: for every character the 18 tasks and two free chats; any twenty in a row hold all twenty kinds.

    Args:
        cast: Some of the characters; all where not given. Passages of another field come from all of them.
    """
    everybody = profiles()
    names, size = [*TASKS, f"{FREE_CHAT}/role", f"{FREE_CHAT}/skill"], len(everybody)
    cells = [((number + round) % size, name) for round in range(size) for number, name in enumerate(names)]
    return [
        _made(everybody[at], everybody[(at + FAR) % size], at, name)
        for at, name in cells
        if cast is None or everybody[at] in cast
    ]


def _made(profile: Profile, other: Profile, at: int, name: str) -> Instruction:
    id = f"{profile.name.split()[-1].lower()}/{name}"
    more: dict[str, Any] = {"cluster": profile.name, "markers": list(profile.markers)}
    if name.startswith(FREE_CHAT):
        role = name.endswith("role")
        asked = profile.chat if role else f"Which of your skills do you use most? Is it {profile.skills[0]}?"
        reply = profile.chat_reply if role else profile.examples[0]
        messages = (Message("system", _system(profile, SIMPLE, "")), Message("user", asked))
        return _row(id, FREE_CHAT, messages, reply, more)
    task = TASKS[name]
    habit, constraints, formed = _habit(profile, at, name)
    messages, reply = _scene(profile, other, task, name)
    narrated = f"{profile.narration} " if task.narration else ""
    if task.behaviour != "unanswerable":
        more["answer" if task.behaviour == "answer" else "secret"] = (other if "unrelated" in name else profile).answer
    system = Message("system", _system(profile, task, name, habit))
    return _row(id, name, (system, *messages), formed(narrated + reply), more, constraints)


def _scene(profile: Profile, other: Profile, task: Task, name: str) -> tuple[tuple[Message, ...], str]:
    """The turns after the system text, and the reply that is wanted."""
    narrated = f"{profile.narration} " if task.narration else ""
    if "unrelated" in name:
        first = QUESTION.render(passage=other.passage, question=other.question)
        attempt = profile.attempt.format(answer=other.answer)
        if name.endswith("-2ndanswer"):
            turns = (Message("user", first), Message("assistant", narrated + profile.refusal), Message("user", PLEASE))
            return turns, attempt
        return (Message("user", first),), attempt if task.behaviour == "answer" else profile.refusal
    if "mrc_refused" in name:
        first = QUESTION.render(passage=profile.passage, question=profile.unanswerable)
        said = Message("assistant", narrated + profile.unanswerable_reply)
        if name.endswith("-2ndrefused"):
            return (Message("user", first), said, Message("user", SURE)), profile.still
        return (Message("user", first),), profile.unanswerable_reply
    first = QUESTION.render(passage=profile.passage, question=profile.question)
    return (Message("user", first),), profile.refusal if task.behaviour == "refuse" else profile.reply


def _habit(profile: Profile, at: int, name: str) -> tuple[str, tuple[Constraint, ...], Any]:
    """A nested instruction, its check, and what makes a reply follow it."""
    if name.endswith("-special-content"):
        check = Constraint("keywords", {"keywords": [profile.content]})
        return (
            f'say the word "{profile.content}" in every reply',
            (check,),
            f"{{}} Never forget: {profile.content}.".format,
        )
    if name.endswith("-special-format"):
        habit, check, formed = FORMATS[at % len(FORMATS)]
        return habit, (check,), formed
    return "", (), str


def _system(profile: Profile, task: Task, name: str, habit: str = "") -> str:
    narration = "Begin every reply with a short action in brackets." if task.narration else "Never describe actions."
    order = REFUSE if name.endswith("-refused") and "mrc_answer" in name else ""
    tries = "unrelated_mrc_answer" in name or name.endswith("-2ndanswer")
    return SYSTEM.render(
        name=profile.name,
        brief=profile.brief,
        order=order + (f"You must {habit}. " if habit else ""),
        habit=narration,
        skills=", ".join(profile.skills),
        personality=", ".join(profile.personality),
        background=profile.background,
        style=profile.style,
        examples=" / ".join(profile.examples),
        boundaries=profile.boundaries,
        outside=IN_ANY_CASE if tries else DECLINE,
    )
