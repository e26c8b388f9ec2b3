"""How well `adhere.constraints.plain.find_in` reads IFEval's 541 prompts, against their gold constraints.

    python benchmarks/plain_words.py [--data-dir DIR] [--half odd|even|all]

Counted per prompt as multisets: a constraint is right if IFEval lists the same id (first figure), and the same
arguments (second, stricter figure). The rules were written looking at the prompts with an odd key only; the even ones
are held out.
Kinds that IFEval has no id for ("headings") can be neither right nor wrong here: they are reported apart as `outside`.
Prints a table, then one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from adhere.constraints.plain import find_in
from adhere.records import Constraint

PLAIN_IDS = {
    "highlights": "detectable_format:number_highlighted_sections",
    "sections": "detectable_format:multiple_sections",
    "placeholders": "detectable_content:number_placeholders",
    "title": "detectable_format:title",
    "json": "detectable_format:json_format",
    "quoted": "startend:quotation",
    "bullets": "detectable_format:number_bullet_lists",
    "paragraphs": "length_constraints:number_paragraphs",
    "keywords": "keywords:existence",
    "forbidden": "keywords:forbidden_words",
    "uppercase": "change_case:english_capital",
    "lowercase": "change_case:english_lowercase",
    "no_commas": "punctuation:no_comma",
    "language": "language:response_language",
    "ends_with": "startend:end_checker",
    "postscript": "detectable_content:postscript",
    "options": "detectable_format:constrained_response",
    "nth_paragraph": "length_constraints:nth_paragraph_first_word",
    "several_responses": "combination:two_responses",
    "repeat_prompt": "combination:repeat_prompt",
}
# These have a relation in IFEval: one of our constraints with two bounds is two of its.
RELATIONS = {
    "words": "length_constraints:number_words",
    "sentences": "length_constraints:number_sentences",
    "keyword_count": "keywords:frequency",
    "letter_count": "keywords:letter_frequency",
    "uppercase_words": "change_case:capital_word_frequency",
}
UNCOUNTED = ({"at_least": 1}, {"at_least": 2}, {"exactly": 0})
NUMBERS = ("num_words", "num_sentences", "frequency", "let_frequency", "capital_frequency")
Gold = tuple[str, str]  # an id and its arguments in one canonical spelling


class Tally(NamedTuple):
    """Right, claimed and gold counts."""

    right: int
    claimed: int
    gold: int

    @property
    def precision(self) -> float:
        """Share of the claims that are right."""
        return self.right / self.claimed if self.claimed else 0.0

    @property
    def recall(self) -> float:
        """Share of the gold that was found."""
        return self.right / self.gold if self.gold else 0.0


def to_ifeval(constraint: Constraint) -> list[Gold]:
    """The IFEval constraints that a native one stands for; none where IFEval has no such kind."""
    args = constraint.args
    if constraint.kind in RELATIONS:
        low, high = args.get("exactly", args.get("at_least")), args.get("exactly", args.get("at_most"))
        subject = _spelled(args.get("keyword") or args.get("letter") or "")
        bounds = [("at least", low)] if low else []  # "at least 0" demands nothing
        bounds += [("less than", high + 1)] if high is not None else []
        return [(RELATIONS[constraint.kind], f"{subject} {relation} {n}") for relation, n in bounds]
    if constraint.kind == "without" and args.get("characters") == ",":
        return [(PLAIN_IDS["no_commas"], "")]
    if constraint.kind == "bullets" and args in UNCOUNTED:
        return []  # "as bullet points" and "no bullet points" are wishes; IFEval's id asks for a number of them
    if constraint.kind not in PLAIN_IDS:
        return []
    return [(PLAIN_IDS[constraint.kind], _native_arguments(constraint.kind, args))]


def gold_of(row: dict[str, Any]) -> list[Gold]:
    """The gold constraints of one IFEval row, in the same spelling."""
    made = []
    for kind, kwargs in zip(row["instruction_id_list"], row["kwargs"], strict=True):
        args = {k: v for k, v in kwargs.items() if v is not None}
        number = next((args[n] for n in NUMBERS if n in args and "nth_paragraph" not in args), None)
        relation = args.get("relation") or args.get("let_relation") or args.get("capital_relation")
        if relation:
            subject = _spelled(args.get("keyword") or args.get("letter") or "")
            made.append((kind, f"{subject} {relation} {number}"))
        else:
            made.append((kind, _gold_arguments(args)))
    return made


def _native_arguments(kind: str, args: dict[str, Any]) -> str:
    """The arguments that IFEval knows of a native constraint."""
    count = str(args.get("exactly", args.get("at_least", args.get("at_most", ""))))
    if kind in ("keywords", "forbidden"):
        return _words(args["keywords" if kind == "keywords" else "words"])
    if kind == "sections":
        return f"{count} {args.get('marker', '')}"
    if kind == "nth_paragraph":
        return f"{args['n']} {args['first_word'].lower()} {args.get('paragraphs', '')}"
    if kind in ("language", "postscript"):
        return _spelled(args.get("language") or args.get("marker") or "")
    if kind in ("ends_with", "repeat_prompt"):
        return _spelled(args.get("phrase") or args.get("prompt") or "")
    return count if kind in ("highlights", "placeholders", "bullets", "paragraphs") else ""


def _gold_arguments(args: dict[str, Any]) -> str:
    if "keywords" in args or "forbidden_words" in args:
        return _words(args.get("keywords") or args.get("forbidden_words") or ())
    if "section_spliter" in args:
        return f"{args['num_sections']} {args['section_spliter']}"
    if "nth_paragraph" in args:
        return f"{args['nth_paragraph']} {args['first_word'].lower()} {args['num_paragraphs']}"
    texts = ("language", "postscript_marker", "end_phrase", "prompt_to_repeat")
    if text := next((args[t] for t in texts if t in args), None):
        return _spelled(text)
    numbers = ("num_highlights", "num_placeholders", "num_bullets", "num_paragraphs")
    return str(next((args[n] for n in numbers if n in args), ""))


def _spelled(text: str) -> str:
    """Case, outer white space and outer quotes or stops do not make another argument."""
    return " ".join(text.lower().split()).strip("\"'. ")


def _words(words: Iterable[str]) -> str:
    return " ".join(sorted({_spelled(w) for w in words}))


def prompts(data_dir: Path, half: str = "all") -> Iterator[dict[str, Any]]:
    """IFEval's rows: all, those with an odd key, or those with an even key."""
    with (data_dir / "ifeval" / "input_data.jsonl").open(encoding="utf-8") as lines:
        for row in map(json.loads, lines):
            if half == "all" or (half == "odd") == bool(row["key"] % 2):
                yield row


def measure(rows: Iterable[dict[str, Any]]) -> tuple[dict[str, Tally], dict[str, Tally], Counter[str]]:
    """Tallies by id: same id, and same id with same arguments; and what was found that IFEval has no id for."""
    same_id: dict[str, Counter[str]] = {}
    same_args: dict[str, Counter[str]] = {}
    outside: Counter[str] = Counter()
    for row in rows:
        native = find_in(row["prompt"]).constraints
        outside.update(c.kind for c in native if not to_ifeval(c))
        claimed, gold = [g for c in native for g in to_ifeval(c)], gold_of(row)
        _count(same_id, Counter(k for k, _ in claimed), Counter(k for k, _ in gold), lambda k: k)
        _count(same_args, Counter(claimed), Counter(gold), lambda k: k[0])
    return _tallies(same_id), _tallies(same_args), outside


def _count(into: dict[str, Counter[str]], claimed: Counter[Any], gold: Counter[Any], kind: Any) -> None:
    for counts, name in ((claimed & gold, "right"), (claimed, "claimed"), (gold, "gold")):
        for key, n in counts.items():
            into.setdefault(kind(key), Counter())[name] += n


def _tallies(counts: dict[str, Counter[str]]) -> dict[str, Tally]:
    return {k: Tally(c["right"], c["claimed"], c["gold"]) for k, c in sorted(counts.items())}


def micro(tallies: dict[str, Tally]) -> Tally:
    """All kinds together."""
    return Tally(*(sum(column) for column in zip(*tallies.values(), strict=True)))


def main() -> None:
    """Print the table and the JSON line."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    options.add_argument("--data-dir", default=os.environ.get("ADHERE_DATA"), type=Path)
    options.add_argument("--half", choices=("odd", "even", "all"), default="all", help="which half the table shows")
    chosen = options.parse_args()
    if chosen.data_dir is None:
        options.error("name the folder that holds ifeval/input_data.jsonl: --data-dir or ADHERE_DATA")
    same_id, same_args, outside = measure(prompts(chosen.data_dir, chosen.half))
    print(
        f"{'IFEval id':<46}{'gold':>6}{'found':>7}{'prec.':>8}{'recall':>8}   with arguments:{'prec.':>7}{'recall':>8}"
    )
    for kind, tally in [*same_id.items(), ("all of them", micro(same_id))]:
        strict = same_args.get(kind, micro(same_args))
        print(
            f"{kind:<46}{tally.gold:>6}{tally.claimed:>7}{tally.precision:>8.3f}{tally.recall:>8.3f}"
            f"{strict.precision:>25.3f}{strict.recall:>8.3f}"
        )
    print("outside IFEval:", dict(outside))
    print(json.dumps({half: summary(chosen.data_dir, half) for half in ("odd", "even", "all")}))


def summary(data_dir: Path, half: str) -> dict[str, float]:
    """The four headline figures of one half."""
    same_id, same_args, _ = measure(prompts(data_dir, half))
    by_id, by_args = micro(same_id), micro(same_args)
    return {
        "gold": by_id.gold,
        "precision": round(by_id.precision, 4),
        "recall": round(by_id.recall, 4),
        "precision_with_arguments": round(by_args.precision, 4),
        "recall_with_arguments": round(by_args.recall, 4),
    }


if __name__ == "__main__":
    main()
