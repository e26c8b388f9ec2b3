"""Plain words to constraints: what is understood, what is honestly not, and that no text breaks it."""

from __future__ import annotations

import contextlib
import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adhere.constraints.base import build, kinds
from adhere.constraints.plain import find_in, parse, parse_wish
from adhere.constraints.plain.whole import LANGUAGES
from adhere.errors import AdhereError, DataError, UnknownNameError
from adhere.records import Constraint

WISHES = [
    ("at least 300 words", "words", {"at_least": 300}),
    ("no more than twenty-five words", "words", {"at_most": 25}),
    ("more than 30 sentences", "sentences", {"at_least": 31}),
    ("fewer than 1,000 words", "words", {"at_most": 999}),
    ("300 words or less", "words", {"at_most": 300}),
    ("1,200+ words", "words", {"at_least": 1200}),
    ("between 50 and 100 words", "words", {"at_least": 50, "at_most": 100}),
    ("at least 2 but no more than 4 sentences", "sentences", {"at_least": 2, "at_most": 4}),
    ("about 200 words", "words", {"at_least": 180, "at_most": 220}),
    ("nothing longer than 30 words", "words", {"at_most": 30}),
    ("one hundred and fifty words exactly", "words", {"exactly": 150}),
    ("under 280 characters", "characters", {"at_most": 279}),
    ("exactly 3 paragraphs", "paragraphs", {"exactly": 3}),
    ("three paragraphs separated by ***", "paragraphs", {"exactly": 3, "separator": "***"}),
    ("3 lines", "lines", {"exactly": 3}),
    ("a dozen bullet points", "bullets", {"exactly": 12}),
    ("no bullet points", "bullets", {"exactly": 0}),
    ("a numbered list of 5", "numbered", {"exactly": 5}),
    ("2 headings", "headings", {"exactly": 2}),
    ("at least 5 placeholders in square brackets", "placeholders", {"at_least": 5}),
    ("highlight at least 4 sections with markdown", "highlights", {"at_least": 4}),
    ("5 sections, each starting with SECTION X", "sections", {"exactly": 5, "marker": "SECTION"}),
    ("a title in double angular brackets", "title", {}),
    ("valid JSON", "json", {}),
    ("a markdown table", "table", {}),
    ("a code block", "code_block", {}),
    ("wrap it in double quotation marks", "quoted", {}),
    ("include the keywords sun, moon and “milky way”", "keywords", {"keywords": ["sun", "moon", "milky way"]}),
    ("use the word 'cat' twice", "keyword_count", {"keyword": "cat", "exactly": 2}),
    ("mention 'solar' at least three times", "keyword_count", {"keyword": "solar", "at_least": 3}),
    ("no more than two uses of the word very", "keyword_count", {"keyword": "very", "at_most": 2}),
    ("avoid using the word dog more than twice", "keyword_count", {"keyword": "dog", "at_most": 2}),
    ("never the words cat or dog", "forbidden", {"words": ["cat", "dog"]}),
    ("the letter q at least 3 times", "letter_count", {"letter": "q", "at_least": 3}),
    ("don't use the letter z", "letter_count", {"letter": "z", "exactly": 0}),
    ("at least 4 exclamation marks", "letter_count", {"letter": "!", "at_least": 4}),
    ("ALL CAPS", "uppercase", {}),
    ("no capital letters", "lowercase", {}),
    ("all lowercase", "lowercase", {}),
    ("title case", "title_case", {}),
    ("at least 3 words in all caps", "uppercase_words", {"at_least": 3}),
    ("no commas", "no_commas", {}),
    ("comma-free", "no_commas", {}),
    ("no question marks or semicolons", "without", {"characters": "?;"}),
    ("respond in French", "language", {"language": "fr"}),
    ("in English and all capital letters", "uppercase", {}),
    ('start with "Dear Sir"', "starts_with", {"phrase": "Dear Sir"}),
    ('end with the exact phrase "the end."', "ends_with", {"phrase": "the end."}),
    ("add a postscript starting with P.P.S", "postscript", {"marker": "P.P.S"}),
    ("one of: red, green, blue", "options", {"options": ["red", "green", "blue"]}),
    ("second paragraph starts with however", "nth_paragraph", {"n": 2, "first_word": "however"}),
    ("two different responses separated by 6 asterisks", "several_responses", {}),
    ("three different answers separated by six asterisks", "several_responses", {"count": 3}),
]


@pytest.mark.parametrize(("text", "kind", "args"), WISHES, ids=[w[0] for w in WISHES])
def test_a_wish_becomes_the_constraint_it_names(text: str, kind: str, args: dict) -> None:
    parsed = parse(text)
    assert parsed.constraints == (Constraint(kind, args),)
    assert parsed.unparsed == ()
    build(parsed.constraints[0], "fixed")


def test_several_wishes_come_in_their_order_with_their_places() -> None:
    text = "in exactly 3 paragraphs, all lowercase, no commas,  at least 3 bullets"
    parsed = parse(text)
    assert [c.kind for c in parsed.constraints] == ["paragraphs", "lowercase", "no_commas", "bullets"]
    assert text[slice(*parsed.spans[3])] == "at least 3 bullets"


@pytest.mark.parametrize(
    ("text", "unparsed"),
    [
        ("write like a pirate", ("write like a pirate",)),
        ("under 100 words and make it rhyme", ("make it rhyme",)),
        ("at least 3 bullets about dogs", ("about dogs",)),
        ("each paragraph at most 3 sentences", ("each paragraph at most 3 sentences",)),
        ("repeat the request first", ("repeat the request first",)),
        ("no commas, emojis please", ("emojis please",)),
        ("", ()),
    ],
)
def test_what_is_not_understood_is_listed(text: str, unparsed: tuple[str, ...]) -> None:
    assert parse(text).unparsed == unparsed


def test_the_task_of_a_prompt_is_neither_a_constraint_nor_a_failure() -> None:
    prompt = "Write a 200 word essay, in the style of a letter, on why 3 words in French matter. Do not use any commas."
    parsed = find_in(prompt)
    assert parsed.constraints == (Constraint("no_commas"),)
    assert parsed.unparsed == ()


def test_a_demand_that_is_not_understood_is_listed_for_a_prompt_too() -> None:
    assert find_in("Write a poem. It must rhyme.").unparsed == ("It must rhyme.",)


def test_a_request_to_repeat_takes_the_prompt_before_it() -> None:
    parsed = find_in("Name a river.\n\nFirst repeat the request above word for word, then answer.")
    assert parsed.constraints == (Constraint("repeat_prompt", {"prompt": "Name a river."}),)


def test_paragraph_count_and_nth_paragraph_are_one_constraint() -> None:
    parsed = find_in("Write exactly 4 paragraphs. The second paragraph must start with the word 'yet'.")
    assert parsed.constraints == (Constraint("nth_paragraph", {"n": 2, "first_word": "yet", "paragraphs": 4}),)


def test_spans_point_into_the_text_as_it_was_written() -> None:
    prompt = "Say   hello.\n\n\nUse   at least\t3 bullet points."
    (span,) = find_in(prompt).spans
    assert prompt[slice(*span)] == "at least\t3 bullet points"


@pytest.mark.parametrize(
    "text",
    [
        "paragraph 0 starts with x",
        "exactly 2 paragraphs. The third paragraph starts with x",
        'end with " "',
        "start with '  '",
        'one of: ".", "!"',
        "the first paragraph starts with '_'",
    ],
)
def test_nonsense_gives_no_constraint_that_cannot_be_built(text: str) -> None:
    for constraint in (*parse(text).constraints, *find_in(text).constraints):
        build(constraint)


def test_every_language_that_is_named_has_a_checker() -> None:
    for code in LANGUAGES.values():
        build(Constraint("language", {"language": code}))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("words:at_least=300,at_most=500", Constraint("words", {"at_least": 300, "at_most": 500})),
        ('keywords:keywords=["a","b"]', Constraint("keywords", {"keywords": ["a", "b"]})),
        ('keywords:existence:keywords=["cat"]', Constraint("keywords:existence", {"keywords": ["cat"]})),
        ("ends_with:phrase=the end", Constraint("ends_with", {"phrase": "the end"})),
        ("language:language=fr", Constraint("language", {"language": "fr"})),
        ("no_commas", Constraint("no_commas")),
        ('{"kind":"words","args":{"at_most":50}}', Constraint("words", {"at_most": 50})),
        ("no commas", Constraint("no_commas")),
    ],
)
def test_a_wish_may_be_plain_words_or_kind_and_arguments_or_json(text: str, wanted: Constraint) -> None:
    assert parse_wish(text).constraints == (wanted,)


def test_a_json_list_gives_several_constraints() -> None:
    rows = [{"kind": "no_commas"}, {"kind": "words", "args": {"at_most": 5}}]
    assert [c.kind for c in parse_wish(json.dumps(rows)).constraints] == ["no_commas", "words"]


def test_an_unknown_kind_names_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="'words'"):
        parse_wish("wrods:at_least=3")


@pytest.mark.parametrize(
    "text",
    [
        "words:",
        "words:at_least",
        "words:at_least=x",
        "words:at_leest=3",
        "words:at_least=3,at_least=4",
        '{"kind":1}',
        "{",
    ],
)
def test_mistakes_in_arguments_are_data_errors(text: str) -> None:
    with pytest.raises(DataError):
        parse_wish(text)


PIECES = st.sampled_from(
    [
        "at least",
        "exactly",
        "3",
        "ten",
        "a dozen",
        "words",
        "the word",
        "'cat'",
        '"',
        "'",
        "no",
        "commas",
        "JSON",
        "and",
        "SECTION X",
        "***",
        "******",
        "in French",
        "P.S.\n    ",
        "end with",
        "paragraph",
        "first",
        "must start with",
        ",",
        ".",
        "highlight",
        "*",
        "<<a>>",
        "letter",
        "between",
        "one of",
        "repeat the request",
        "all caps\n    ",
        "twice",
        "[",
        "\n\n",
    ]
)


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(max_size=300), st.lists(PIECES, max_size=40).map(" ".join)))
def test_no_text_breaks_the_parser_and_all_it_finds_can_be_built(text: str) -> None:
    for parsed in (parse(text), find_in(text)):
        assert len(parsed.spans) == len(parsed.constraints)
        assert all(0 <= start <= end <= len(text) for start, end in parsed.spans)
        for constraint in parsed.constraints:
            build(constraint)


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=60))
def test_a_wish_is_read_or_refused_with_our_own_error(text: str) -> None:
    with contextlib.suppress(AdhereError):
        parse_wish(text)


@pytest.mark.parametrize(
    "piece",
    ["3 words ", "at least ", '"', "'", "the word a, ", "Section 1 ", "*** ", "   ", "in French ", "the letter e "],
)
def test_a_long_hostile_text_ends(piece: str) -> None:
    text = (piece * 100_000)[:100_000]
    assert len(find_in(text).constraints) <= 100_000


# Sentences that our own constraints ask with and the parser reads otherwise: a bracket for all brackets, and the last
# full stop of "P.P.S." for the sentence's.
HARD = {"postscript": 0.4, "without": 0.4}
# A wish has no request to repeat, and what was only told is anybody's words.
ASKED = [kind for kind in kinds() if ":" not in kind and kind not in ("repeat_prompt", "told")]


@pytest.mark.parametrize("kind", ASKED)
def test_what_our_own_constraints_ask_for_is_understood(kind: str) -> None:
    understood = 0
    for seed in range(40):
        wanted = kinds()[kind].sample(random.Random(seed))
        found = parse(wanted.describe(random.Random(seed))).constraints
        understood += [build(c) for c in found] == [wanted]
    assert understood >= 40 * HARD.get(kind, 0.6)
