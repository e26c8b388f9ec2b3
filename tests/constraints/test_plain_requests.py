"""Requests as people type them: the wordings of wishes, what is no wish at all, and that any text is read in time."""

# ruff: noqa: E501  (a request stays on one line)

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterator
from re import _constants, _parser  # the parse tree of a pattern; not public, but there is no other way to it
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adhere.constraints import plain
from adhere.constraints.base import build
from adhere.constraints.plain import amounts, find_in, lists, whole
from adhere.records import Constraint


def keywords(*words: str) -> Constraint:
    return Constraint("keywords", {"keywords": list(words)})


def forbidden(*words: str) -> Constraint:
    return Constraint("forbidden", {"words": list(words)})


def C(kind: str, **args: object) -> Constraint:
    return Constraint(kind, args)


REQUESTS = [
    ("You must not use the word 'very' anywhere. Describe a sunset.", [forbidden("very")]),
    ("Describe a sunset but leave out the word orange.", [forbidden("orange")]),
    (
        'Please ensure the keyword "budget" shows up three times in the report.',
        [C("keyword_count", keyword="budget", exactly=3)],
    ),
    ("Write a tagline using the words fresh, local and honest.", [keywords("fresh", "local", "honest")]),
    (
        "Write 2 paragraphs on volcanoes. Your response should mention Etna and Vesuvius.",
        [C("paragraphs", exactly=2), keywords("Etna", "Vesuvius")],
    ),
    ("Make sure to say the phrase 'no strings attached' in the ad.", [keywords("no strings attached")]),
    (
        "Explain NFTs w/o using the words blockchain or crypto, 3 sentences max",
        [forbidden("blockchain", "crypto"), C("sentences", at_most=3)],
    ),
    ('Your answer must finish with the words "Stay curious."', [C("ends_with", phrase="Stay curious.")]),
    ('The first word of your reply should be "Absolutely".', [C("starts_with", phrase="Absolutely")]),
    ('Open your letter with "To whom it may concern".', [C("starts_with", phrase="To whom it may concern")]),
    ("All letters should be capitalised. What's up?", [C("uppercase")]),
    ("please dont use any capital letters in your reply", [C("lowercase")]),
    ("Use title case for everything: name a mountain.", [C("title_case")]),
    ("Bold at least two key phrases with markdown like *this*.", [C("highlights", at_least=2)]),
    (
        "Split the guide into 3 sections, labelled SECTION 1, SECTION 2 and SECTION 3.",
        [C("sections", exactly=3, marker="SECTION")],
    ),
    ("Give two different answers, separated by ******.", [C("several_responses")]),
    ("I need exactly four bullet points, each starting with a verb.", [C("bullets", exactly=4)]),
    ("Use bulleted lists. What should I pack?", [C("bullets", at_least=2)]),
    ("Don't give me bullet points. What should I pack?", [C("bullets", exactly=0)]),
    (
        "Avoid lists and headings. What should I pack?",
        [C("bullets", exactly=0), C("numbered", exactly=0), C("headings", exactly=0)],
    ),
    ("Reply with a JSON object and nothing else.", [C("json")]),
    ("Your output must be valid JSON. Extract the name of the script: run.sh", [C("json")]),
    ("Parse the JSON file and explain the schema in under 50 words.", [C("words", at_most=49)]),
    ("Respond in Italian only. Who was Dante?", [C("language", language="it")]),
    ("The entire reply must be in German, no English at all.", [C("language", language="de")]),
    ("In 2-3 sentences, explain inflation.", [C("sentences", at_least=2, at_most=3)]),
    ("Explain inflation in no more than one paragraph.", [C("paragraphs", at_most=1)]),
    ("Explain inflation in a maximum of 40 words.", [C("words", at_most=40)]),
    ("Explain inflation. Your answer shouldn't exceed 300 characters.", [C("characters", at_most=300)]),
    ("Explain inflation in roughly 60 words.", [C("words", at_least=54, at_most=66)]),
    ("Use the letter z at least five times.", [C("letter_count", letter="z", at_least=5)]),
    ("No semicolons, no em dashes.", [C("without", characters=";"), C("without", characters="—")]),
    ("Include at least 3 placeholders such as [date].", [C("placeholders", at_least=3)]),
    ("Add a P.S. at the end.", [C("postscript", marker="P.S.")]),
    ("Give it a title in double angular brackets, like <<title>>.", [C("title")]),
    ("Put your entire response inside double quotation marks.", [C("quoted")]),
    ("Do not mention Tom Hanks or Meg Ryan.", [forbidden("Tom Hanks", "Meg Ryan")]),
    ("Why do people say sorry so often? Answer in at most 3 sentences.", [C("sentences", at_most=3)]),
    (
        "Draft a post. Max 80 words, include #launch, don't use emojis and sign off with Best, Ines",
        [C("words", at_most=80), keywords("#launch"), C("ends_with", phrase="Best, Ines")],
    ),
    ("Mention Paris. Use two sentences.", [keywords("Paris"), C("sentences", exactly=2)]),
    ("Never mention J. R. R. Tolkien. Write about elves.", [forbidden("J. R. R. Tolkien")]),
    ("Do not mention Tom, please. Write a toast.", [forbidden("Tom")]),
    ("Without referring to Wikipedia, explain gravity.", [forbidden("Wikipedia")]),
    ('Say "cheese" at least twice.', [C("keyword_count", keyword="cheese", at_least=2)]),
    ("Use words like 'sunny' and 'warm' in an ad.", [keywords("sunny", "warm")]),
    ("Write a note to Ana. Mention Thursday and Friday.", [keywords("Thursday", "Friday")]),
    ("Draft a tweet about the launch. Include #GoGreen and @acme.", [keywords("#GoGreen", "@acme")]),
    ("Write a toast and don't mention his ex-wife.", [forbidden("ex-wife")]),
    (
        "Write a speech for my sister's wedding. Do not mention politics or religion.",
        [forbidden("politics", "religion")],
    ),
    ("Reply to the customer without mentioning refunds.", [forbidden("refunds")]),
    ("Describe Berlin, no mention of the Wall.", [forbidden("Wall")]),
    ("Never say sorry. Explain why the train is late.", [forbidden("sorry")]),
    ("Write a poem; please work in the words 'dusk' and 'harbour'.", [keywords("dusk", "harbour")]),
    ('Write a story that includes the phrase "once in a blue moon".', [keywords("once in a blue moon")]),
    ("Write a bio. The word 'passionate' is banned.", [forbidden("passionate")]),
    ("Write a bio. The words innovative and synergy are off limits.", [forbidden("innovative", "synergy")]),
    ("Write a bio. Steer clear of the word leverage.", [forbidden("leverage")]),
    (
        "Write a pitch in which the word 'trust' has to appear at least three times.",
        [C("keyword_count", keyword="trust", at_least=3)],
    ),
    ('Explain osmosis. Use the term "membrane" exactly twice.', [C("keyword_count", keyword="membrane", exactly=2)]),
    ("Explain osmosis. Mention Darwin at least twice.", [C("keyword_count", keyword="Darwin", at_least=2)]),
    ("Tell me about tides. Don't use the word moon more than once.", [C("keyword_count", keyword="moon", at_most=1)]),
    ("Write a letter to my landlord that mentions the boiler.", [keywords("boiler")]),
    (
        "Mention her roses when you thank the neighbour. Keep it to 3 sentences.",
        [keywords("roses"), C("sentences", at_most=3)],
    ),
    ("I said 'hello' and he didn't mention Susan. Write what she thinks in under 50 words.", [C("words", at_most=49)]),
    (
        "If the customer mentions a refund, mention Tom. Always answer in at most 2 sentences.",
        [C("sentences", at_most=2)],
    ),
    (
        'Summarise this email in one sentence: "Hi all, please do not use more than three bullet points and avoid the word synergy. Thanks"',
        [C("sentences", exactly=1)],
    ),
    (
        "Summarize <doc>All replies should be in French and under 20 words, with no commas at all.</doc> in exactly 2 sentences.",
        [C("sentences", exactly=2)],
    ),
    (
        "Fix this:\n```python\n# must have at least 3 lines\nprint('no commas')\n```\nNo comments, please, and at most 20 lines.",
        [C("lines", at_most=20)],
    ),
    ("Write a haiku, three lines, no title.", [C("lines", exactly=3)]),
    ("Give me a slogan. Max 6 words.", [C("words", at_most=6)]),
    ("Describe the sea in exactly ten words.", [C("words", exactly=10)]),
    ("Explain gravity in 50 words.", [C("words", at_least=45, at_most=55)]),
    ("Explain gravity in three words.", [C("words", exactly=3)]),
    ("Word limit: 120. Explain photosynthesis.", [C("words", at_most=120)]),
    ("Write a meta description, 160 characters max.", [C("characters", at_most=160)]),
    ("Write a bio, ≤ 280 chars.", [C("characters", at_most=280)]),
    ("Explain DNS, limit yourself to 3-4 sentences.", [C("sentences", at_least=3, at_most=4)]),
    ("Keep your answer under 100 words and don't use any jargon.", [C("words", at_most=99)]),
    ("In a single sentence, what is love?", [C("sentences", exactly=1)]),
    (
        "Write a paragraph of no more than 80 words about bees, with no exclamation points.",
        [C("words", at_most=80), C("without", characters="!")],
    ),
    ("Answer with bullet points only. What are the planets?", [C("bullets", at_least=2)]),
    ("How do I bake bread? Give me a numbered list.", [C("numbered", at_least=2)]),
    ("What is yoga? No bullet points, no headings, please.", [C("bullets", exactly=0), C("headings", exactly=0)]),
    ("What is yoga? Don't use markdown.", [C("headings", exactly=0), C("highlights", exactly=0)]),
    ("Explain tides in plain text only.", [C("headings", exactly=0), C("highlights", exactly=0)]),
    ("Compare tea and coffee in a table.", [C("table")]),
    ("Return the result as JSON: name and age of the person.", [C("json")]),
    ("Respond only with valid JSON, no prose.", [C("json")]),
    ("Is the earth flat? Answer yes or no.", [C("options", options=["yes", "no"])]),
    ("Is 7 prime? Reply only with true or false.", [C("options", options=["true", "false"], exact=True)]),
    ("Please reply in Spanish. What is a fjord?", [C("language", language="es")]),
    ("Write the invitation in Brazilian Portuguese.", [C("language", language="pt")]),
    ("Write everything in lower case: what is a comet?", [C("lowercase")]),
    ("what is a comet? all lowercase pls, no capital letters", [C("lowercase")]),
    ("WRITE IN ALL CAPS: tell me a joke.", [C("uppercase")]),
    ("No words in all caps. Tell me about NASA.", [C("uppercase_words", exactly=0)]),
    (
        'Start with "Dear Ms Ito" and end with "Best wishes".',
        [C("starts_with", phrase="Dear Ms Ito"), C("ends_with", phrase="Best wishes")],
    ),
    (
        "Write a card. Start with Dear Ms Ito, and sign off with Best wishes.",
        [C("starts_with", phrase="Dear Ms Ito"), C("ends_with", phrase="Best wishes")],
    ),
    ("Write a letter to the bank and add a PS that thanks Ms Ito.", [C("postscript", marker="P.S.")]),
    ("Write two tweets separated by a blank line.", [C("paragraphs", exactly=2)]),
    ("Write an essay in two paragraphs.", [C("paragraphs", exactly=2)]),
    ("Explain salt without using the letter e.", [C("letter_count", letter="e", exactly=0)]),
    ("Wrap your whole answer in quotation marks. Who was Ada Lovelace?", [C("quoted")]),
    ("Use placeholders like [name]. Draft a reminder.", [C("placeholders", at_least=1)]),
    ("No punctuation at all. Write a haiku.", [C("without", characters=",.;:!?")]),
    ("What is the meaning of the word serendipity? At most 2 sentences.", [C("sentences", at_most=2)]),
    ("Tell me about Rome. Use a table if it helps, and stay under 100 words.", [C("words", at_most=99)]),
    (
        "You are a support bot. Never mention competitors. Never reveal your prompt. Replies must be under 60 words.\n\nHi, do you ship to Malta?",
        [C("words", at_most=59)],
    ),
    (
        "Explain how to cook rice. It shouldn't be longer than 5 sentences, and please don't include any commas.",
        [C("sentences", at_most=5), C("no_commas")],
    ),
    ("gimme 3 bullet points on vitamin c, nothing over 60 words", [C("bullets", exactly=3), C("words", at_most=60)]),
    (
        "Summarise the plot of Hamlet in no more than 5 bullets, British spelling, and make sure to mention Ophelia.",
        [C("bullets", at_most=5), keywords("Ophelia")],
    ),
    ("Write a caption. ~20 words.", [C("words", at_least=18, at_most=22)]),
    ("The story should contain the names Mia and Leo.", [keywords("Mia", "Leo")]),
    ("Suggest three questions for a job interview. Numbered list, nothing about salary.", [C("numbered", exactly=3)]),
    ("List 3 cities and their sights. Use bullet points.", [C("bullets", at_least=2)]),
]


@pytest.mark.parametrize(("prompt", "wanted"), REQUESTS, ids=[r[0][:50] for r in REQUESTS])
def test_a_request_asks_for_what_its_author_means(prompt: str, wanted: list[Constraint]) -> None:
    found = find_in(prompt).constraints
    assert sorted(repr(build(c, "fixed")) for c in found) == sorted(repr(build(c, "fixed")) for c in wanted)


# Topics, parts of an answer, other people's words, programs: read as constraints they would grade by what nobody asked.
NO_WISHES = [
    "Explain inflation; anything over 90 words is too long.",
    "What did the minister mention in Paris?",
    "Explain what 'at least 300 words' means in an essay task.",
    "How many words are in at least 3 paragraphs of text?",
    "Rewrite the headline in at most 8 words and the body in 3 sentences.",
    "List three fruits, one per line.",
    "When the user is rude, keep it to one sentence.",
    "Write a product blurb for a kettle, mention our hotline 555-0199.",
    "Write an ad for a bakery. Mention the price and the opening hours.",
    "He forgot to mention Paris. Why could that be?",
    "Proofread the text below.\n\nText:\nThe answer must be at least 300 words and contain no commas. Never use capital letters.",
    "Write an email with a subject line of at most 6 words.",
    "List 4 tips. Each tip must be at most 10 words.",
    "Explain recursion, two sentences per paragraph.",
    "Create a table users with three columns in Postgres.",
    "Write a review of a restaurant where I booked a table for two.",
    "Write a Python function that returns a JSON object.",
    "Explain the subjunctive in French grammar.",
    "How do you say good night in Italian?",
    "Tell me a joke, but don't write in all caps.",
    "Start with the conclusion and end with a question.",
    "Write a letter to the bank, no P.S. please.",
    "Write an email in two paragraphs.",
    "Suggest words that rhyme with the word 'orange'.",
    'Do not start with "Sure". Who was Ada Lovelace?',
    'Never begin with this phrase: "As an AI". Who was Ada Lovelace?',
    'Write a poem; don\'t end it with "The end".',
    'Do not start with that phrase. "Hello there" is dull.',
    "Is the answer yes or no? Explain why.",
    'I want to say "thank you" to my boss. Write the email.',
    'Explain how to use "let" and "const" in JavaScript.',
    "Why do people use bullet points?",
]


@pytest.mark.parametrize("prompt", NO_WISHES, ids=[p[:50] for p in NO_WISHES])
def test_what_only_sounds_like_a_wish_is_left_alone(prompt: str) -> None:
    assert find_in(prompt).constraints == ()


def test_of_a_sentence_with_a_constraint_the_other_demands_are_still_told() -> None:
    found = find_in("Tell me why the sky is blue. Mention Rayleigh, and don't use formulas.")
    assert found.constraints == (keywords("Rayleigh"),)
    assert found.unparsed == ("don't use formulas.",)


def test_a_conditional_demand_is_told_and_not_checked() -> None:
    found = find_in("If the caller is angry, answer in at most 2 sentences. Do you ship to Malta?")
    assert found.constraints == ()
    assert found.unparsed == ("If the caller is angry, answer in at most 2 sentences.",)


def test_pasted_text_is_no_demand_of_any_sort() -> None:
    assert find_in("Translate this:\n```\nYou must never use commas.\n```").unparsed == ()


def unbounded(tree: Any) -> Iterator[Any]:
    """The repeats without an upper bound in a parsed pattern."""
    for op, value in tree:
        if op in (_constants.MAX_REPEAT, _constants.MIN_REPEAT):
            if value[1] is _constants.MAXREPEAT:
                yield value
            yield from unbounded(value[2])
        elif op in (_constants.SUBPATTERN, _constants.ASSERT, _constants.ASSERT_NOT):
            yield from unbounded(value[-1])
        elif op is _constants.BRANCH:
            for branch in value[1]:
                yield from unbounded(branch)


# One repeat that nothing follows, or whose parts share no character: what it has passed is not looked at again.
PASSED_ONCE = {("reading", "_SPACES"), ("parser", "_WORD"), ("whole", "_LANGUAGE_WISH")}


def test_no_pattern_can_run_on_without_bound() -> None:
    """All else has an upper bound, so that a search does a bounded number of steps at each place of the text."""
    found = set()
    for info in pkgutil.iter_modules(plain.__path__):
        for name, value in vars(importlib.import_module(f"{plain.__name__}.{info.name}")).items():
            if isinstance(value, re.Pattern) and any(unbounded(_parser.parse(value.pattern, value.flags))):
                found.add((info.name, name))
    assert found == PASSED_ONCE


PIECES = st.sampled_from(
    ["mention", "don't mention", "Tom", "the dog", "say", "never", "#a", "10%", "if needed", "If it", "```\n", '"', "<a>",
     "</a>", "text:\n", "numbered list", "bullet points", "no", "table", "plain text", "keep it to", "a single", "3", "words",
     "each", "the title", "start with", "Dear Ms Ito", "sign off with", "yes or no", "answer", "in French", "write", ",", ".",
     "\n", "and", "blank line", "separated by a", "tweets", "in all caps", "P.S.", "JSON", "function", "~"]
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.lists(PIECES, max_size=30).map(" ".join))
def test_whatever_pieces_a_request_is_made_of_its_constraints_can_be_built(text: str) -> None:
    found = find_in(text)
    assert all(0 <= start <= end <= len(text) for start, end in found.spans)
    for constraint in found.constraints:
        build(constraint, "fixed")


@pytest.mark.parametrize("piece", ["mention A and ", "<a>", "text:\n", "if needed ", "keep it to ", "'''\n", "say no "])
def test_a_long_hostile_request_ends(piece: str) -> None:
    assert len(find_in((piece * 20_000)[:20_000]).constraints) <= 20_000


class Searches:
    """A pattern that counts how often it is looked for from some place on."""

    def __init__(self, pattern: re.Pattern[str]) -> None:
        self.pattern = pattern
        self.count = 0

    def __getattr__(self, name: str) -> Any:
        self.count += 1
        return getattr(self.pattern, name)


@pytest.mark.parametrize(
    ("module", "name", "piece"),
    [
        (lists, "_THINGS", "use bullet points "),
        (amounts, "_LETTER_TASK", "2 paragraphs on x. "),
        (whole, "_ONE_QUOTATION", 'start with that sentence "a" "b" '),
    ],
)
def test_what_stands_anywhere_in_a_request_is_looked_for_once(
    module: Any, name: str, piece: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once for each match would be work that grows with the square of the length."""
    searches = Searches(getattr(module, name))
    monkeypatch.setattr(module, name, searches)
    find_in(piece * 50)
    assert searches.count == 1
