"""Q²: is what an answer says what its passages say? By questions about the answer, put to the passages.

Honovich et al. 2021, "Q²: Evaluating Factual Consistency in Knowledge-Grounded Dialogues via Question Generation and
Question Answering" (arXiv 2104.08202), section 3; the details are those of the authors' code (orhonovich/q-squared):

1. Spans of the answer are candidates: named entities first, then noun phrases.
2. For each, questions whose answer it is; those with "I", "you", "my" or "your" are dropped.
3. A question counts if, put to the answer itself, it gives the span back (equal but for case, punctuation and small
   words). The first that does is taken.
4. The same question is put to the passages. No answer there: 0. Otherwise the F1 of the two answers' words; and where
   that is under 1, does "question passages' answer" entail "question span"? Entailment makes it 1, contradiction 0,
   neutral leaves the F1.
5. The mean over the questions. Without any, whether the passages entail the whole answer: 1, 0, or a half if neutral.

What stands in for what: one judging model does the work of the T5-base that was tuned to write questions, of the
ALBERT-xlarge tuned on SQuAD 2.0 that answers them and of the RoBERTa tuned on SNLI that compares, so that figures are
comparable between answers judged by the same model only. Its five questions are written in one go where the authors
take five beams. Spans are found by rule (capitals, digits, runs of content words between function words) and not by
spaCy: English only, and a run may hold a verb; a bad span costs calls, but gives no question that comes back. At most
`MOST_SPANS` of an answer are asked about. As in the paper, the answer is read without the question it was given to:
of a bare "1931" nothing sensible can be asked.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from adhere.errors import ModelError
from adhere.models.base import Sampling
from adhere.models.model import Model, base_model
from adhere.models.prompts import Template
from adhere.records import Instruction, Response, Score
from adhere.registry import register
from adhere.roles import Answerer
from adhere.score.judges.base import judge_failed
from adhere.score.labels import label_probabilities
from adhere.score.texts.faithfulness import declines, shown_passages, spaced
from adhere.score.texts.overlap import qa_words, shared

__all__ = ["MOST_SPANS", "Q2", "Asked", "questions_in", "spans"]

LABELS = ("entailment", "contradiction", "neutral")
FALLBACK = {"entailment": 1.0, "contradiction": 0.0, "neutral": 0.5}
MOST_SPANS = 12  # a bound on calls, not of the paper: up to 8 for each span
QUESTIONS = 5  # beams in the authors' code
QUESTION_TOKENS, ANSWER_TOKENS = 160, 32
LONGEST = 8000  # characters of an answer that are looked at

_SMALL = {"in", "our"}  # what the authors' comparison drops beside articles
_PERSONAL = re.compile(r"\b(?:i|you|my|your)\b", re.I)
_NO_ANSWER = re.compile(r"\W*(?:no answer|not answered|none|n/a|unknown)\b", re.I)
_NUMBERED = re.compile(r"^\s*(?:[-*•]|\(?\d{1,2}[.):]|Q(?:uestion)?\s*\d*\s*[:.])?\s*", re.I)
_PIECE = re.compile(r"[^\W_]+(?:[-.,:'’/][^\W_]+)*|\S")
_NAME_INSIDE = {"of", "the", "de", "la", "von", "van", "der", "and"}  # between two capitals: "Isle of Man"
_DETERMINER_WORDS = "a an the this that these those my your his her its our their some any no each every"
_OTHER_FUNCTION_WORDS = """
i you he she it we they me him us them who whom whose which what where when why how there here and or but nor so yet if
then than as because while although though since until unless whether of in on at by for with from to into onto over
under about after before between during through against among within without upon per via near along across around
behind beyond despite toward towards is are was were be been being am has have had having do does did doing done will
would shall should can could may might must not never also only just very too more most much many such own same other
again further once both all few said says say made make makes became become becomes got get gets went go goes came come
comes took take takes gave give gives found known called named however therefore yes
"""
_DETERMINERS = frozenset(_DETERMINER_WORDS.split())
_FUNCTION = _DETERMINERS | frozenset(_OTHER_FUNCTION_WORDS.split())


class Asked(NamedTuple):
    """A question that came back.

    Attributes:
        span: What of the answer it asks for.
        question: The question.
        found: What the passages answer; "" for nothing.
        f1: Of the words of both, 0 to 1.
        value: The same after entailment was judged.
    """

    span: str
    question: str
    found: str
    f1: float
    value: float


@register("q2", paper="instruct-qa")
class Q2:
    """Scores how far an answer's spans are what its passages say.

    `value`, 0 to 1, is judged with entailment, the part "q2_f1" by words alone; `passed` stays undecided, since no
    threshold is part of the method. Without passages, or for an empty answer, there is no value.

    Args:
        model: Who writes questions, answers them and compares; needs token log-probabilities.
    """

    def __init__(self, model: Answerer) -> None:
        self.model = model

    def __repr__(self) -> str:
        return f"Q2({getattr(self.model, 'name', self.model)!r})"

    async def score(self, instruction: Instruction, response: Response) -> Score:
        """As the class says. A judge that fails leaves the answer undecided.

        Raises:
            CapabilityError: if the model gives no log-probabilities.
        """
        passages, text = shown_passages(instruction, response), response.text.strip()[:LONGEST]
        if not passages:
            return Score("q2", reason="there are no passages")
        if not text:
            return _undecided("an empty answer says nothing")
        knowledge = " ".join(passages)
        judge = _Judge(base_model(self.model))
        try:
            asked = await asyncio.gather(*(judge.ask(span, text, knowledge) for span in spans(text)[:MOST_SPANS]))
            counted = [one for one in asked if one is not None]
            if not counted:
                value = FALLBACK[await judge.relation(knowledge.lower(), text)]
                return _scored(value, value, "no question came back: judged as a whole")
        except ModelError as error:
            return _undecided(judge_failed("q2", error).reason)
        shown = "; ".join(f"{one.question} {one.span!r} / {one.found or 'no answer'!r}" for one in counted)
        return _scored(
            sum(one.value for one in counted) / len(counted), sum(one.f1 for one in counted) / len(counted), shown
        )


def _scored(value: float, f1: float, reason: str) -> Score:
    return Score("q2", value, parts=(Score("q2", value, reason=reason), Score("q2_f1", f1)), reason=reason)


def _undecided(reason: str) -> Score:
    """Neither figure has a value, so that both are shares of the same answers."""
    return Score("q2", parts=(Score("q2", reason=reason), Score("q2_f1", reason=reason)), reason=reason)


class _Judge:
    """One model in three trades."""

    def __init__(self, model: Model) -> None:
        self.model = model

    async def ask(self, span: str, text: str, knowledge: str) -> Asked | None:
        """The first question about a span that comes back, with what the passages say; None where none does."""
        for question in questions_in(await self._write("q2_question", QUESTION_TOKENS, text=text, span=span)):
            if _words(await self.answer(question, text)) != _words(span):
                continue
            found = await self.answer(question, knowledge)
            f1 = _f1(span, found)
            value = f1
            if found and f1 < 1:
                label = await self.relation(f"{question} {found}.", f"{question} {span}.")
                value = {"entailment": 1.0, "contradiction": 0.0}.get(label, f1)
            return Asked(span, question, found, f1, value)
        return None

    async def answer(self, question: str, text: str) -> str:
        """What a text answers to a question, in its own words; "" for nothing."""
        said = await self._write("q2_answer", ANSWER_TOKENS, text=text, question=question)
        line = next((line for line in said.splitlines() if line.strip()), "").strip().strip("\"'“”").rstrip(".")
        return "" if _NO_ANSWER.match(line) or declines(line) else line

    async def relation(self, premise: str, hypothesis: str) -> str:
        """One of `LABELS`; neutral where the model says none of them."""
        prompt = Template.of("adhere.score", "q2_nli").render(premise=premise, hypothesis=hypothesis)
        found = (await label_probabilities(self.model, prompt, LABELS)).probabilities
        return max(reversed(LABELS), key=lambda label: found[label] or 0.0)

    async def _write(self, template: str, tokens: int, **fields: str) -> str:
        prompt = Template.of("adhere.score", template).render(**fields)
        return (await self.model.generate(prompt, Sampling(max_tokens=tokens))).text


def questions_in(text: str) -> list[str]:
    """The questions that a model wrote, one a line, without numbers; personal ones and repetitions left out.

    >>> questions_in("1. When did it open?\\n2. Where are you?\\nSure!\\n- When did it open?")
    ['When did it open?']
    """
    found: dict[str, None] = {}
    for line in text.splitlines():
        question, mark, _ = _NUMBERED.sub("", line, count=1).partition("?")
        if mark and question.strip() and not _PERSONAL.search(question):
            found[question.strip(" \"'").lstrip("* ") + "?"] = None
    return list(found)[:QUESTIONS]


def _words(text: str) -> list[str]:
    return [word for word in qa_words(spaced(text)) if word not in _SMALL]


def _f1(span: str, found: str) -> float:
    one, other = _words(span), _words(found)
    common = shared(one, other)
    return 2 * common / (len(one) + len(other)) if common else 0.0


def spans(text: str) -> list[str]:
    """Names, dates and numbers, then noun phrases with their determiners; each once, as it stands in the text.

    >>> spans("The museum of Harl was opened on 12 March 1931 by Pia Lund.")
    ['Harl', '12 March 1931', 'Pia Lund', 'The museum']
    """
    pieces = [(m.start(), m.end(), m[0]) for m in _PIECE.finditer(text)]
    found: dict[str, str] = {}
    names = list(_names(pieces))
    phrases = [phrase for phrase in _phrases(pieces) if not any(_within(phrase, name) for name in names)]
    for start, end in names + phrases:
        span = text[pieces[start][0] : pieces[end - 1][1]]
        found.setdefault(span.lower(), span)
    return list(found.values())


def _within(phrase: tuple[int, int], name: tuple[int, int]) -> bool:
    """Whether a phrase is part of a name, but for its determiner."""
    return name[0] - 1 <= phrase[0] and name[0] < phrase[1] <= name[1]


def _names(pieces: list[Any]) -> Iterator[tuple[int, int]]:
    """Runs of capitalised words and numbers; small words may stand between two of them."""
    at = 0
    while at < len(pieces):
        if not _is_name(pieces, at):
            at += 1
            continue
        end = at + 1
        while end < len(pieces):
            inner = end
            while inner < len(pieces) and inner - end < 2 and pieces[inner][2] in _NAME_INSIDE:
                inner += 1
            if inner < len(pieces) and _is_name(pieces, inner) and pieces[inner][2][0].isupper() >= (inner > end):
                end = inner + 1
            else:
                break
        yield at, end
        at = end


def _is_name(pieces: list[Any], at: int) -> bool:
    """A word with a capital or a digit; of a function word, a sentence's first, the capital says nothing."""
    word = pieces[at][2]
    first = at == 0 or pieces[at - 1][2] in ".!?:"
    return word[0].isdigit() or (word[0].isupper() and word != "I" and not (first and word.lower() in _FUNCTION))


def _phrases(pieces: list[Any]) -> Iterator[tuple[int, int]]:
    """Runs of content words, a determiner before them included; what looks like a verb ends a run."""
    start = None
    for at in range(len(pieces) + 1):
        word = pieces[at][2].lower() if at < len(pieces) else "."
        content = word[0].isalnum() and word not in _FUNCTION and not _verbal(pieces, at, word)
        if content and start is None:
            start = at - 1 if at and pieces[at - 1][2].lower() in _DETERMINERS else at
        elif not content and start is not None:
            yield start, at
            start = None


def _verbal(pieces: list[Any], at: int, word: str) -> bool:
    after_determiner = at > 0 and pieces[at - 1][2].lower() in _DETERMINERS
    return len(word) > 4 and word.endswith(("ed", "ing")) and not after_determiner and pieces[at][2][0].islower()
