"""IFEval's kinds against independent packages: lm-eval's and if-verifiable's checkers, NLTK, langdetect.

Every disagreement that is known is named here with its reason; any other fails.
"""

from __future__ import annotations

import hashlib
import json
import logging
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adhere.constraints import Text, build, build_all, langdetect_exact, nltk_exact, verify
from adhere.constraints.ifeval.base import KINDS
from adhere.records import Constraint
from adhere.testing import TEXTS, write_punkt_tab

# What the checkers look at, to be put together at random.
PIECES = (
    "Dr.", "e.g.", "U.S.", "J. Bach", "The", "the", "A", "I", "hello world", "3.14", "No. 5", "etc.", ".", "...", "!",
    "?!", '"', "'", "”", "’", "“", "(", ")", "[name]", "[", "]", " ", "\n", "\n\n", "\n\n\n", "\t",
    "--", "- x", "-", ",",
    ";", ":", "cannot", "gonna", "I'm", "don't", "N'T", "'tis", "wanna", "''", "«", "»", "*", "**", "***", "******",
    "* x", "*x*", "**x**", "_", "#", "$5", "%", "x.y", "Inc.", "Mr. Smith", "\xa0", "é", "ÉCOLE", "漢字。", "\u2028",
    "İ", "ſ", ". . .", "1.", "a-b.", "{}", '{"a": 1}', "```", "```json", "<<", ">>", "<<t>>", "\x0b", "\x85", "John's",
    "SECTION 1", "Section 2", "P.S.", "p. s.", "P.P.S", "My answer is yes.", "any other questions?", "nature", "value",
    "is there anything else i can help with?", "WORDS IN CAPITALS", "all in small letters here", "ΣΟΦΟΣ", "\r\n",
)  # fmt: skip


@pytest.fixture(scope="module")
def nltk(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """NLTK with its English tables from the punkt wheel: nothing is downloaded."""
    import nltk as package
    import nltk.data

    nltk.data.path.insert(0, str(write_punkt_tab(tmp_path_factory.mktemp("nltk_data"))))
    # Loading takes 50 ms, and `word_tokenize` loads through its own cache.
    package.sentences = nltk.data.load("nltk:tokenizers/punkt/english.pickle")
    return package


@pytest.fixture(scope="module")
def langdetect() -> Any:
    """langdetect seeded as IFEval seeds it, silent about texts that it cannot detect."""
    import langdetect as package

    package.DetectorFactory.seed = 0
    logging.getLogger("lm_eval.tasks.ifeval.instructions").setLevel(logging.CRITICAL)
    return package


@pytest.fixture(scope="module")
def lm_eval(nltk: Any, langdetect: Any) -> Any:
    """lm-eval's IFEval task: Google's checkers, repackaged."""
    from lm_eval.tasks.ifeval import instructions_registry, utils

    logging.getLogger("lm_eval").setLevel(logging.CRITICAL)
    return registry_and(instructions_registry.INSTRUCTION_DICT, utils.process_results)


@pytest.fixture(scope="module")
def if_verifiable(nltk: Any, langdetect: Any) -> Any:
    """if-verifiable's copy of the checkers."""
    from if_verifiable.common import evaluate_instructions
    from if_verifiable.ifeval.instructions_registry import INSTRUCTION_DICT

    return registry_and(INSTRUCTION_DICT, evaluate_instructions)


class registry_and:
    def __init__(self, registry: dict[str, Any], judge: Callable[..., Any]) -> None:
        self.registry = registry
        self.judge = judge


def archive(data_dir: Path) -> list[dict[str, Any]]:
    lines = (data_dir / "ifeval" / "reference_gpt4_2023.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def ours(row: dict[str, Any], response: str) -> tuple[list[bool | None], list[bool]]:
    wanted = [Constraint(k, a) for k, a in zip(row["instruction_id_list"], row["kwargs"], strict=True)]
    verdict = verify(response, build_all(wanted))
    return [score.passed for score in verdict.strict], list(verdict.loose)


def test_lm_eval_agrees_on_every_archived_answer(lm_eval: Any, data_dir: Path):
    for row in archive(data_dir):
        if row["key"] in (1122, 1129):  # "#" and "!": it counts a random letter, without a seed
            continue
        found = lm_eval.judge({**row, "prompt": ""}, [row["response"]])
        theirs = found["inst_level_strict_acc"], found["inst_level_loose_acc"]
        assert ours(row, row["response"]) == theirs, row["key"]


def test_if_verifiable_agrees_on_every_archived_answer(if_verifiable: Any, data_dir: Path):
    for row in archive(data_dir):
        if row["key"] in (1122, 1129):
            continue
        # It strips the answer before judging it; so do we here, since that moves the paragraphs of the reference.
        answer = row["response"].strip()
        found, _ = if_verifiable.judge(answer, row["instruction_id_list"], row["kwargs"], "", if_verifiable.registry)
        theirs = [r.strict_pass for r in found], [r.loose_pass for r in found]
        assert ours(row, answer) == theirs, row["key"]


def a_text(rng: random.Random) -> str:
    return "".join(rng.choice(PIECES) + rng.choice(("", "", " ")) for _ in range(rng.randint(1, 25)))


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_lm_eval_agrees_on_texts_made_of_what_checkers_look_at(lm_eval: Any, langdetect: Any, kind: str):
    rng = random.Random(kind)
    for round_ in range(60 if "language" in kind or "english" in kind else 250):
        checker = build(Constraint(kind, {})) if not round_ and not _args(kind) else _sampled(kind, rng)
        theirs = lm_eval.registry[kind](kind)
        theirs.build_description(**checker.args)
        for text in (a_text(rng), TEXTS[round_ % len(TEXTS)]):
            if not text.strip():
                continue
            wanted = bool(theirs.check_following(text))
            assert checker.check(text).passed is wanted, (checker, text)
            assert checker.passes(Text(text)) is wanted, (checker, text)


def _args(kind: str) -> bool:
    return bool(_sampled(kind, random.Random(0)).args)


def _sampled(kind: str, rng: random.Random) -> Any:
    from adhere.constraints.base import kinds

    return kinds()[kind].sample(rng)


def test_the_sentence_tables_are_those_of_nltks_punkt_tab(tmp_path: Path):
    """SHA-256 of the sorted lines of the four files of NLTK's English `punkt_tab`, as distributed in 2024."""
    published = {
        "abbrev_types.txt": "0ab7d6b126eed733d9bc5733d3a51ea575e90ece1b908e77c9d5b74e2a54213a",
        "collocations.tab": "73d7f183e9cf31ee6edf41df100a6f57c72404db66f599fe86b3fb2e6148f35f",
        "ortho_context.tab": "d762d271cb556bab69960781a49eb034588801983af80d39ac936362c812084f",
        "sent_starters.txt": "8a66e19f1bf6a03061dbcda945e46839d09612f8235dbcb1b994f59184ecc989",
    }
    place = write_punkt_tab(tmp_path) / "tokenizers" / "punkt_tab" / "english"
    for name, digest in published.items():
        lines = sorted((place / name).read_text(encoding="utf-8").splitlines())
        assert hashlib.sha256("\n".join(lines).encode()).hexdigest() == digest


def assert_like_nltk(nltk: Any, text: str) -> None:
    assert nltk_exact.sentence_places(text) == list(nltk.sentences.span_tokenize(text))
    tokens = nltk.word_tokenize(text)
    assert nltk_exact.word_tokens(text) == tokens
    assert nltk_exact.capital_tokens(text) == sum(token.isupper() for token in tokens)


def test_sentences_and_tokens_are_nltks_on_real_answers_and_their_clean_ups(nltk: Any, data_dir: Path):
    for row in archive(data_dir)[::3]:
        response = row["response"]
        for text in (response, response.replace("*", ""), response.split("\n", 1)[-1].strip()):
            assert_like_nltk(nltk, text)


def test_sentences_and_tokens_are_nltks_on_texts_made_of_hard_pieces(nltk: Any):
    rng = random.Random(0)
    for text in (*TEXTS, *(a_text(rng) for _ in range(3000))):
        assert_like_nltk(nltk, text)


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet=st.sampled_from(" .!?,'\"()\n-abAB1’”*"), max_size=40))
def test_sentences_and_tokens_are_nltks_on_any_text(nltk: Any, text: str):
    assert_like_nltk(nltk, text)


def detected(langdetect: Any, text: str) -> str | None:
    try:
        return langdetect.detect(text)
    except langdetect.LangDetectException:
        return None


def test_languages_are_langdetects_on_every_archived_answer(langdetect: Any, data_dir: Path):
    for row in archive(data_dir)[::2]:
        for text in (row["response"], row["response"][:50].upper()):
            assert langdetect_exact.detect(text) == detected(langdetect, text)


def test_languages_are_langdetects_on_mixed_scripts(langdetect: Any):
    rng = random.Random(0)
    letters = ("abc", "XYZ", "éüñ", "ß", "漢字", "かな", "カナ", "한글", "ру", "ελλ", "עבר", "عربی", "ไทย",
    "ế", "ǎ", "ș",
               "ț", "ی", "ả", "ê\u0301", "o\u0303", "http://x.y/z", "a@b.cc", "@", "1", ",", "’",
               "\xa0", " ", "\n")  # fmt: skip
    texts = ["".join(rng.choice(letters) for _ in range(rng.randint(0, 60))) for _ in range(400)]
    long = "http://example.com/" + "a" * 3000 + " x@y.zz " + "Das ist ein Satz. " * 900
    for text in (*TEXTS, *texts, long, "a@b.c " * 20_000 + "Voici la phrase."):
        assert langdetect_exact.detect(text) == detected(langdetect, text), text[:80]


def test_the_probabilities_are_langdetects_to_the_last_bit(langdetect: Any, data_dir: Path):
    from langdetect.detector_factory import PROFILES_DIRECTORY, DetectorFactory

    # Sums of floats depend on the order of the languages, which the package takes from the file system.
    factory = DetectorFactory()
    files = sorted(p for p in Path(PROFILES_DIRECTORY).iterdir() if not p.name.startswith("."))
    factory.load_json_profile([p.read_text(encoding="utf-8") for p in files])
    profiles = langdetect_exact._profiles()
    assert factory.langlist == profiles.languages
    for row in archive(data_dir)[::7]:
        detector = factory.create()
        detector.append(row["response"])
        detector._detect_block()
        grams = langdetect_exact._ngrams(langdetect_exact._clean(row["response"]), profiles)
        assert langdetect_exact._probabilities(grams, profiles, settle=False) == detector.langprob, row["key"]


def test_a_detection_does_not_depend_on_those_before_it():
    texts = ["Guten Morgen, liebe Leute", "foo bar", "la casa es grande", "ok"]
    alone = [langdetect_exact.detect(text) for text in texts]
    assert [langdetect_exact.detect(text) for text in reversed(texts)] == alone[::-1]
