"""RoleMRC's 18 test tasks and what each is graded by (Lu et al. 2025, arXiv 2502.11387, section 3 and its judge).

"refused" in a task's name means that the passage has no answer *or* that the role cannot give it, so the name does not
tell the wanted behaviour; this table, which is the one of the released judge, does.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

__all__ = ["ASPECTS", "FREE_CHAT", "TASKS", "Aspect", "Behaviour", "Task"]

Aspect = Literal["knowledge_range", "style", "nested", "multi_turn", "priority"]
Behaviour = Literal["answer", "unanswerable", "refuse", "chat"]
ASPECTS: dict[Aspect, str] = {
    "knowledge_range": "keeps to what the role knows",
    "style": "speaks as the role does",
    "nested": "follows the habit in the system text",
    "multi_turn": "reacts rightly when asked again",
    "priority": "puts the system text above the user",
}
FREE_CHAT = "free_chat"  # ours: the released test set holds none of the training data's free chats


class Task(NamedTuple):
    """What a task wants.

    Attributes:
        dimension: "free chats", "on-scene" (reading on the spot), or "ruled" (with further instructions).
        behaviour: The right reaction: answer from the passage, say that it does not tell, or refuse as the role.
        aspects: What the released judge asks of it.
        narration: Whether the reply begins with an action in brackets.
    """

    dimension: Literal["free chats", "on-scene", "ruled"]
    behaviour: Behaviour
    aspects: tuple[Aspect, ...]
    narration: bool


def _pair(name: str, suffix: str, behaviour: Behaviour, *aspects: Aspect) -> dict[str, Task]:
    """A ruled task with and without narration."""
    return {
        f"{name}_{how}_narration{suffix}": Task("ruled", behaviour, aspects, how == "with") for how in ("with", "no")
    }


TASKS: dict[str, Task] = {
    "role_related_mrc_answer_with_narration": Task("on-scene", "answer", ("knowledge_range", "style"), True),
    "role_related_mrc_answer_no_narration": Task("on-scene", "answer", ("knowledge_range",), False),
    "role_related_mrc_refused_with_narration": Task("on-scene", "unanswerable", ("knowledge_range",), True),
    "role_related_mrc_refused_no_narration": Task("on-scene", "unanswerable", ("style",), False),
    "role_unrelated_mrc_refused_with_narration": Task("on-scene", "refuse", ("knowledge_range",), True),
    "role_unrelated_mrc_refused_no_narration": Task("on-scene", "refuse", ("knowledge_range", "style"), False),
    "role_unrelated_mrc_answer_with_narration": Task("on-scene", "answer", ("knowledge_range",), True),
    "role_unrelated_mrc_answer_no_narration": Task("on-scene", "answer", ("style",), False),
    **_pair("role_related_mrc_answer", "-special-content", "answer", "nested"),
    **_pair("role_related_mrc_answer", "-special-format", "answer", "nested"),
    **_pair("role_related_mrc_answer", "-refused", "refuse", "priority"),
    **_pair("role_related_mrc_refused", "-2ndrefused", "unanswerable", "multi_turn"),
    **_pair("role_unrelated_mrc_refused", "-2ndanswer", "answer", "multi_turn"),
}
assert len(TASKS) == 18
