"""What a role's reply does: answer, refuse, or say that the passage does not tell. A program for want of a judge.

A reply that holds the answer's words answers. Refusing and "the passage does not tell" are recognised by patterns
(`programs.py`) or by a small classifier over MiniLM's sentence vectors, trained when it is first needed on our labelled
replies (`exemplars.jsonl`) and our characters' own. On labelled replies that neither was made with, 24 of each,
patterns alone were right on 54 % (refusals) and 67 % (nothing told), both together on 96 % (kappa 0.92) and on 83 %
(kappa 0.67).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from adhere.bench.role_mrc import programs
from adhere.bench.role_mrc.rows import profiles
from adhere.bench.role_mrc.tasks import Behaviour
from adhere.errors import missing_extra
from adhere.records import Record
from adhere.score.texts.overlap import token_recall

__all__ = ["Reactions"]

EXEMPLARS = Path(__file__).with_name("exemplars.jsonl")
Kind = Literal["refuse", "unanswerable", "other"]


class _Exemplar(Record):
    text: str
    reaction: Kind


class Reactions:
    """Recognises reactions.

    Args:
        embedder: A model that embeds.

    Raises:
        DependencyError: without scikit-learn.
    """

    def __init__(self, embedder: Any) -> None:
        try:
            from sklearn.linear_model import LogisticRegression
        except ImportError as error:
            raise missing_extra("scikit-learn", "embed", "judging role replies without a judge") from error
        self.embedder = embedder
        examples = _exemplars()
        vectors = embedder.backend.vectors([e.text for e in examples])
        self._classifiers = {
            kind: LogisticRegression(class_weight="balanced").fit(vectors, [e.reaction == kind for e in examples])
            for kind in ("refuse", "unanswerable")
        }

    async def behaves(
        self, text: str, wanted: Behaviour, answer: str | None, reference: str, secret: str | None = None
    ) -> bool:
        """Whether a reply does what is wanted.

        Args:
            text: The reply; an empty one does nothing.
            wanted: The right reaction. That the passage does not tell is no refusal, and a refusal does not say it.
            answer: The words that answer the question, where known.
            reference: A good reply, to go by where the answer is not known.
            secret: The answer that a refusal must not give away.

        Raises:
            ModelError: if the embedding failed.
        """
        text = text[: programs.LONGEST]
        if not text.strip():
            return False
        if wanted == "answer":
            if not programs.answers(text, answer, reference):
                return False
            return bool(answer) or not (await self._does("refuse", text) or await self._does("unanswerable", text))
        if wanted == "chat":
            return True
        given_away = secret is not None and token_recall(text, [secret]) == 1.0
        return await self._does(wanted, text) and not given_away

    async def _does(self, kind: Literal["refuse", "unanswerable"], text: str) -> bool:
        pattern = programs.declines if kind == "refuse" else programs.untold
        if pattern(text):
            return True
        return bool(self._classifiers[kind].predict(await self.embedder.embed([text]))[0])


def _exemplars() -> list[_Exemplar]:
    from adhere.data import jsonl

    found = list(jsonl.read(EXEMPLARS, _Exemplar))
    for p in profiles():
        found += [_Exemplar(p.refusal, "refuse"), _Exemplar(p.unanswerable_reply, "unanswerable")]
        found += [_Exemplar(p.still, "unanswerable"), _Exemplar(p.reply, "other"), _Exemplar(p.chat_reply, "other")]
        found.append(_Exemplar(p.attempt.format(answer=p.answer), "other"))
    return found
