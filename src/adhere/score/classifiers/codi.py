"""CoDI-Eval's grading: programs for length and keywords, classifiers for sentiment, topic and toxicity.

The paper's classifiers: sentiment by `cardiffnlp/twitter-roberta-base-sentiment-latest` (the three polarities) and
`j-hartmann/emotion-english-roberta-large` (the six emotions), topic by `cardiffnlp/tweet-topic-21-multi`, toxicity by
the Perspective API. Who has them in a folder names them:

    adhere eval codi-eval --scorer "codi(polarity='cardiff/', emotion='hartmann/', topic='tweet-topic/')"

Otherwise the heads that ship with Adhere grade, and every verdict says who gave it.
"""

from __future__ import annotations

from collections.abc import Collection

from adhere.constraints import build_all, verify
from adhere.constraints.codi import after_colon
from adhere.records import Instruction, Response, Score
from adhere.registry import register
from adhere.score.classifiers.text import THRESHOLD, LinearHead, encoder, label_index, open_classifier, verdict

__all__ = ["EMOTIONS", "POLARITIES", "TOPICS", "CodiScorer"]

POLARITIES = ("negative sentiment", "neutral sentiment", "positive sentiment")
EMOTIONS = ("anger", "disgust", "fear", "joy", "sadness", "surprise")
TOPICS = (
    "arts_&_culture", "business_&_entrepreneurs", "celebrity_&_pop culture", "daily life", "family", "fashion_&_style",
    "film_&_tv_&_video", "fitness_&_health", "food_&_dining", "gaming", "learning_&_educational", "music",
    "relationships", "science_&_technology", "social concern", "sports", "travel_&_adventure", "youth_&_student life",
)  # fmt: skip


@register("codi", paper="codi-eval")
class CodiScorer:
    """Grades an answer to a CoDI-Eval instruction; `passed` is whether it succeeds.

    For all tasks but toxicity the answer is cleaned first, as upstream: what follows the first colon that ends a line.
    An empty answer fails. Toxicity is of the continuation alone; the part "toxicity" holds its probability.

    Args:
        polarity: Classifier of negative, neutral and positive texts, see `adhere.score.classifiers.text`.
        emotion: Of the six emotions.
        topic: Of the topics; with a multi-label classifier 0.5 decides, as in the paper.
        toxicity: Of toxic texts: its label "toxic" or "toxicity", or its only one.
    """

    def __init__(
        self, polarity: str = "polarity", emotion: str = "emotion", topic: str = "topic", toxicity: str = "toxicity"
    ) -> None:
        self.polarity = polarity
        self.emotion = emotion
        self.topic = topic
        self.toxicity = toxicity

    def __repr__(self) -> str:
        names = ("polarity", "emotion", "topic", "toxicity")
        given = [f"{n}={getattr(self, n)!r}" for n in names if getattr(self, n) != n]
        return f"CodiScorer({', '.join(given)})"

    def ready(self, tasks: Collection[str]) -> None:
        """Open what these tasks need and look for its labels, so that nothing is generated in vain.

        Raises:
            UnknownNameError, DataError, WeightsError, DependencyError: if a classifier cannot be opened.
            UsageError: if it lacks a label.
        """
        needed: list[tuple[set[str], str, tuple[str, ...]]] = [
            ({"sentiment", "multi"}, self.polarity, POLARITIES),
            ({"sentiment", "multi"}, self.emotion, EMOTIONS),
            ({"topic", "multi"}, self.topic, TOPICS),
            ({"toxicity"}, self.toxicity, ()),
        ]
        for users, path, labels in needed:
            if not users & set(tasks):
                continue
            classifier = open_classifier(path)
            if isinstance(classifier, LinearHead):
                encoder()
            for label in labels:
                label_index(classifier, label)

    async def score(self, instruction: Instruction, response: Response) -> Score:
        """As the class says; undecided for an instruction of another benchmark.

        Raises:
            UnknownNameError, DataError, WeightsError, DependencyError: if a classifier cannot be opened.
            UsageError: if it lacks a label.
        """
        task = instruction.meta.get("task")
        if task == "toxicity":
            return await self._toxicity(response.text)
        if task in ("length", "keyword"):
            found = verify(response.text, build_all(instruction.constraints, "ifeval")).strict[0]
            return _success(bool(found.passed), found.reason)
        if not {"sentiment", "topic"} & instruction.meta.keys():
            return Score("success", reason="not an instruction of CoDI-Eval")
        text = response.text[after_colon(response.text) :].strip()
        if not text:
            return _success(False, "nothing was written")
        found = [await self._labelled(text, *pair) for pair in self._wanted(instruction)]
        return _success(all(v.passed for v in found), "; ".join(v.reason for v in found))

    def _wanted(self, instruction: Instruction) -> list[tuple[str, str]]:
        """(classifier, label) of what was asked for."""
        wanted = []
        if (topic := instruction.meta.get("topic")) is not None:
            wanted.append((self.topic, topic))
        if (sentiment := instruction.meta.get("sentiment")) is not None:
            wanted.append((self.polarity if sentiment in POLARITIES else self.emotion, sentiment))
        return wanted

    @staticmethod
    async def _labelled(text: str, path: str, label: str) -> Score:
        return await verdict(open_classifier(path), text, label)

    async def _toxicity(self, text: str) -> Score:
        if not text.strip():  # no scorer has an opinion on it; the context's other continuations decide
            return Score("codi", 0.0, False, (_part(False, "nothing was written"),), "nothing was written")
        classifier = open_classifier(self.toxicity)
        names = [name.lower() for name in classifier.labels]
        at = next((names.index(n) for n in ("toxic", "toxicity") if n in names), 0)
        value = round(float((await classifier.probabilities([text]))[0, at]), 6)
        reason = f"{classifier.name}: toxicity {value:.2f}"
        passed = value < THRESHOLD
        return Score("codi", float(passed), passed, (_part(passed, reason), Score("toxicity", value)), reason)


def _success(passed: bool, reason: str) -> Score:
    return Score("codi", float(passed), passed, (_part(passed, reason),), reason)


def _part(passed: bool, reason: str) -> Score:
    return Score("success", float(passed), passed, reason=reason)
