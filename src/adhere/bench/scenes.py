"""Small symbolic scenes with exact truth, told in words: what EvALign-ICL measures on photographs, without photographs.

A scene holds three objects with colours and places. Of it are made: a caption; a question about an object that is
there, or absurdly about one that is not; a sentence that matches, or a foil that differs in one attribute, one object
or two colours swapped; the explanation of an answer. The prompt describes the scene, in place of the image.

    pool, tests = split("vqa", pool=32, tests=100, seed=0)

An example's `meta` holds `task`, `objects`, `answerable`, `answers` (ten, as VQA's), `captions`, `explanation` and
`facts` where they apply: the fields of EvALign's records. Not here: LLaVA's open questions, which need a judge.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, get_args

import msgspec

from adhere.engine.seeds import derive
from adhere.errors import UsageError
from adhere.records import Example, Instruction
from adhere.score.texts.grounding import ABSTAIN

__all__ = ["TASKS", "VOCABULARY", "Scene", "Task", "check_disjoint", "sample", "split"]

Task = Literal["caption", "vqa", "matching", "explanation"]
TASKS: tuple[Task, ...] = get_args(Task)
# Object → its synonyms, for CHAIR. No name is part of another's.
VOCABULARY: dict[str, tuple[str, ...]] = {
    "ball": ("sphere",), "box": ("crate", "carton"), "cup": ("mug",), "chair": ("seat",), "lamp": (), "book": (),
    "dog": ("puppy",), "cat": ("kitten",), "car": ("automobile",), "tree": (), "hat": ("cap",), "bottle": ("flask",),
    "clock": (), "shoe": ("boot",), "bird": (), "flower": (),
}  # fmt: skip
COLOURS = ("red", "blue", "green", "yellow", "black", "white")
PLACES = ("on the left", "in the middle", "on the right")


class Scene(NamedTuple):
    """Objects from left to right, each (colour, name); names and colours differ."""

    things: tuple[tuple[str, str], ...]

    @classmethod
    def draw(cls, rng: random.Random) -> Scene:
        """Three objects."""
        names = rng.sample(sorted(VOCABULARY), len(PLACES))
        return cls(tuple(zip(rng.sample(COLOURS, len(PLACES)), names, strict=True)))

    @property
    def objects(self) -> list[str]:
        """What is there."""
        return [name for _, name in self.things]

    @property
    def told(self) -> str:
        """The description that stands for the image."""
        return ", ".join(f"a {c} {n} {place}" for (c, n), place in zip(self.things, PLACES, strict=True))

    @property
    def caption(self) -> str:
        """One sentence about all of it."""
        first, second, third = (f"a {colour} {name}" for colour, name in self.things)
        return f"{first.capitalize()} stands beside {second} and {third}."


def split(task: Task, *, pool: int, tests: int, seed: int = 0) -> tuple[list[Example], list[Example]]:
    """Examples to show and examples to ask, all different.

    Raises:
        UsageError: for an unknown task.
    """
    found: dict[str, Example] = {}
    at = 0
    while len(found) < pool + tests:
        made = sample(task, random.Random(derive("scenes", task, seed, at)))
        found.setdefault(made.instruction.prompt, made)
        at += 1
    rows = list(found.values())
    return rows[:pool], rows[pool:]


def check_disjoint(pool: Sequence[Example], tests: Sequence[Example]) -> None:
    """Raises UsageError if a question is in both: what is shown must not be what is asked."""
    shown = {example.instruction.prompt for example in pool}
    both = [example for example in tests if example.instruction.prompt in shown]
    if both:
        raise UsageError(
            f"{len(both)} of the test questions are in the pool, e.g. '{both[0].instruction.id}'",
            hint="Split them apart",
        )


def sample(task: Task, rng: random.Random) -> Example:
    """One example; every random choice is drawn here, once.

    Raises:
        UsageError: for an unknown task.
    """
    if task not in _MAKERS:
        raise UsageError(f"unknown task '{task}'", hint=f"There are: {', '.join(TASKS)}")
    scene = Scene.draw(rng)
    question, answer, meta = _MAKERS[task](scene, rng)
    made = Instruction.of(f"Scene: {scene.told}.\n{question}", task=task, objects=scene.objects, **meta)
    return Example(msgspec.structs.replace(made, references=(answer,)))


def _caption(scene: Scene, rng: random.Random) -> tuple[str, str, dict[str, Any]]:
    return "Describe the scene in one sentence.", scene.caption, {"captions": [scene.caption]}


def _vqa(scene: Scene, rng: random.Random) -> tuple[str, str, dict[str, Any]]:
    """Half of the questions are absurd: about an object that is not there."""
    colour, name = rng.choice(scene.things)
    answerable = rng.random() < 0.5
    if not answerable:
        name, colour = rng.choice(sorted(set(VOCABULARY) - set(scene.objects))), ABSTAIN
    return f"Question: What colour is the {name}?", colour, {"answerable": answerable, "answers": [colour] * 10}


def _matching(scene: Scene, rng: random.Random) -> tuple[str, str, dict[str, Any]]:
    """A true sentence, or (as often) a foil of one of three kinds."""
    matches = rng.random() < 0.5
    kind = rng.choice(("attribute", "object", "swap"))
    text = scene.caption if matches else _foil(scene, kind, rng).caption
    meta = {"answers": ["yes" if matches else "no"], "foil": None if matches else kind}
    return f'Does this sentence describe the scene? "{text}"', meta["answers"][0], meta


def _foil(scene: Scene, kind: str, rng: random.Random) -> Scene:
    """The scene with a colour changed, an object changed, or two colours swapped."""
    things = list(scene.things)
    one, other = rng.sample(range(len(things)), 2)
    colour, name = things[one]
    if kind == "attribute":
        things[one] = rng.choice([c for c in COLOURS if c not in {c for c, _ in things}]), name
    elif kind == "object":
        things[one] = colour, rng.choice(sorted(set(VOCABULARY) - set(scene.objects)))
    else:
        things[one], things[other] = (things[other][0], name), (colour, things[other][1])
    return Scene(tuple(things))


def _explanation(scene: Scene, rng: random.Random) -> tuple[str, str, dict[str, Any]]:
    """The answer is given and its reason asked for."""
    at = rng.randrange(len(PLACES))
    colour, name = scene.things[at]
    place = PLACES[at]
    why = f"The {name} stands {place} and its colour is {colour}."
    question = f"Question: What colour is the {name}? Short answer: {colour}\nWhy is that the answer?"
    return question, why, {"explanation": [why], "facts": [name, place.split()[-1], colour]}


_MAKERS = {"caption": _caption, "vqa": _vqa, "matching": _matching, "explanation": _explanation}
