"""M-IFEval's French constraints. "moins de" excludes the number; "au moins" includes it, as in English.

Sentences are NLTK's by Punkt's French tables and the abbreviations that the reference adds, exactly; words are `\\w+`.
"""

from __future__ import annotations

import re
import string
from itertools import pairwise
from typing import Literal

from adhere.constraints.base import Checker, constraint
from adhere.constraints.case import Lowercase, Uppercase
from adhere.constraints.m_ifeval import bases, counts
from adhere.constraints.m_ifeval.shared import (
    NOT_WITH_JSON,
    NOT_WITH_ONE_ANSWER,
    NOT_WITH_TWO_ANSWERS,
    excluded,
    sentence_spans,
)
from adhere.constraints.nltk_exact import Model, capital_tokens, sentence_places
from adhere.constraints.structure import Quoted
from adhere.constraints.text import Place

_PAPER, _FR = "ifeval", "fr"
Relation = Literal["moins de", "au moins"]
RELATIONS = ("moins de", "au moins")

NAMES = {
    "ar": "arabe", "bg": "bulgare", "bn": "bengali", "de": "allemand", "en": "anglais", "es": "espagnol",
    "fa": "persan", "fi": "finnois", "fr": "français", "gu": "gujarati", "he": "hébreu", "hi": "hindi",
    "it": "italien", "ja": "japonais", "kn": "kannada", "ko": "coréen", "ml": "malayalam", "mr": "marathi",
    "ne": "népalais", "pa": "pendjabi", "pl": "polonais", "pt": "portugais", "ru": "russe", "sw": "swahili",
    "ta": "tamoul", "te": "télougou", "th": "thaï", "uk": "ukrainien", "ur": "ourdou", "vi": "vietnamien",
    "zh": "chinois simplifié",
}  # fmt: skip
WORDS = ("maison", "lumière", "voyage", "musique", "jardin", "histoire", "rivière", "courage", "travail", "étoile")

# The abbreviations that the reference adds to Punkt's French tables, as it writes them.
PUNKT = Model("french", frozenset((
    "m", "mr", "mme", "mlle", "dir.", "dr", "dre", "drs", "dres", "prof", "pr", "cap", "lt", "adm.", "assoc.", "min.",
    "etc", "cf", "vs", "rép", "i.e", "c.-à-d", "ex", "e.g", "apr", "av", "j.c.", "j.-c.", "j.c", "j.-c",
    "av. è. c.", "è. c", "a.d", "av. n. è", "de n. è.", "env", "janv", "fév", "mar", "avr", "juil", "sept", "oct",
    "nov", "déc", "p.-ê.", "svp", "p.-v.", "p.v", "tél", "adj", "q.v", "p", "resp", "tel", "v", "vol", "nb", "n.b",
    "p.s", "ps", "p.p.s", "p.-s", "p-s",
)))  # fmt: skip


# --- Length -----------------------------------------------------------------------------------------------------------


def _places(raw: str) -> list[Place]:
    return sentence_places(raw, PUNKT)


def _fixed_places(raw: str) -> list[Place]:
    return sentence_spans(raw, PUNKT)


@constraint("fr:length_constraints:number_sentences", family="length", paper=_PAPER, claims=_FR)
class NumberSentences(counts.SentenceCount, frozen=True, kw_only=True):
    """So many sentences by Punkt's French model: a list number is one, a heading or line without a stop is none."""

    places = staticmethod(_places)
    asks = (
        "Votre réponse doit contenir {relation} {num_sentences} phrases.",
        "Écrivez {relation} {num_sentences} phrases.",
    )
    usual = {"num_sentences": range(3, 16), "relation": RELATIONS}

    relation: Relation

    def fixed(self) -> Checker:
        """Headings and marks alone are no sentences, list items are."""
        return FixedNumberSentences(num_sentences=self.num_sentences, relation=self.relation)


class FixedNumberSentences(NumberSentences, frozen=True, kw_only=True):
    """The `fixed` dialect."""

    places = staticmethod(_fixed_places)


_WORD = re.compile(r"\w+")


def _count_words(raw: str) -> int:
    return len(_WORD.findall(raw))


@constraint("fr:length_constraints:number_words", family="length", paper=_PAPER, claims=_FR)
class NumberWords(counts.WordCount, frozen=True, kw_only=True):
    r"""So many runs of `\w`: "l'eau" and "peut-être" are two. For `fixed` they are one."""

    words_in = staticmethod(_count_words)
    asks = ("Répondez avec {relation} {num_words} mots.", "Votre réponse doit compter {relation} {num_words} mots.")
    usual = {"num_words": range(50, 400, 10), "relation": RELATIONS}

    relation: Relation


@constraint("fr:length_constraints:number_paragraphs", family="length", paper=_PAPER, claims=_FR)
class NumberParagraphs(bases.ParagraphCount, frozen=True, kw_only=True):
    asks = (
        "Votre réponse doit contenir {num_paragraphs} paragraphes, séparés par le séparateur Markdown : ***",
        "Écrivez exactement {num_paragraphs} paragraphes et séparez-les par ***.",
    )
    usual = {"num_paragraphs": range(2, 6)}


@constraint("fr:length_constraints:nth_paragraph_first_word", family="length", paper=_PAPER, claims=_FR)
class NthParagraph(bases.NthParagraph, frozen=True, kw_only=True):
    asks = (
        "Écrivez {num_paragraphs} paragraphes séparés par une ligne vide. Le paragraphe {nth_paragraph} doit "
        "commencer par le mot « {first_word} ».",
        "Votre réponse comptera {num_paragraphs} paragraphes ; le n° {nth_paragraph} débutera par « {first_word} ».",
    )
    usual = {"first_word": ("Ensuite", "Cependant", "Le", "Enfin", "Inversement")}


# --- Format -----------------------------------------------------------------------------------------------------------


@constraint("fr:detectable_content:number_placeholders", family="format", paper=_PAPER, claims=_FR)
class NumberPlaceholders(bases.PlaceholderCount, frozen=True, kw_only=True):
    asks = (
        "La réponse doit contenir au moins {num_placeholders} espaces réservés entre crochets, comme [nom].",
        "Laissez au moins {num_placeholders} champs à compléter, écrits [ainsi].",
    )
    usual = {"num_placeholders": range(1, 6)}


@constraint("fr:detectable_format:number_highlighted_sections", family="format", paper=_PAPER, claims=_FR)
class NumberHighlights(bases.HighlightCount, frozen=True, kw_only=True):
    asks = (
        "Mettez en surbrillance au moins {num_highlights} parties de votre réponse en Markdown : *partie*.",
        "Votre réponse doit comporter au moins {num_highlights} passages écrits *ainsi*.",
    )
    usual = {"num_highlights": range(1, 5)}


@constraint("fr:detectable_format:multiple_sections", family="format", paper=_PAPER, claims=_FR)
class MultipleSections(bases.SectionCount, frozen=True, kw_only=True):
    asks = (
        "Votre réponse doit comporter {num_sections} sections. Marquez le début de chacune avec {section_spliter} X, "
        "par exemple {section_spliter} 1.",
        "Divisez la réponse en {num_sections} parties intitulées {section_spliter} 1, et ainsi de suite.",
    )
    usual = {"section_spliter": ("Section", "SECTION", "Partie"), "num_sections": range(2, 6)}


@constraint("fr:detectable_format:number_bullet_lists", family="format", paper=_PAPER, claims=_FR)
class NumberBullets(bases.BulletCount, frozen=True, kw_only=True):
    """Exactly so many lines that begin with an asterisk or a hyphen; "---" is one. `fixed` knows rules."""

    items = (re.compile(r"\*[^*].*"), re.compile(r"-.*"))
    asks = (
        "Votre réponse doit contenir exactement {num_bullets} puces Markdown, telles que :\n* Ceci est un point.",
        "Utilisez exactement {num_bullets} puces, écrites * ainsi.",
    )
    usual = {"num_bullets": range(2, 7)}


@constraint("fr:detectable_format:constrained_response", family="content", paper=_PAPER, claims=_FR)
class ConstrainedResponse(bases.Alternatives, frozen=True):
    options = ("Oui.", "Non.", "Peut-être.")
    asks = (
        "Répondez avec une des options suivantes : « Oui. », « Non. », « Peut-être. »",
        "Votre réponse doit être « Oui. », « Non. » ou « Peut-être. ».",
    )
    excludes = excluded("fr", *NOT_WITH_ONE_ANSWER)


@constraint("fr:detectable_format:json_format", family="format", paper=_PAPER, claims=_FR)
class JsonFormat(bases.JsonAnswer, frozen=True):
    asks = ("Toute la réponse doit être au format JSON.", "Ne renvoyez qu'un document JSON valide.")
    excludes = excluded("fr", *NOT_WITH_JSON)


@constraint("fr:detectable_format:title", family="format", paper=_PAPER, claims=_FR)
class Title(bases.TitleLine, frozen=True):
    """A title between double number signs on one line: ##hymne à la joie##. A closed Markdown heading is one too."""

    marks = ("##", "##")
    asks = (
        "Votre réponse doit contenir un titre entre doubles dièses, comme ##hymne à la joie##.",
        "Donnez un titre à votre réponse, écrit ##ainsi##.",
    )


@constraint("fr:detectable_content:postscript", family="content", paper=_PAPER, claims=_FR)
class PostscriptMark(bases.PostscriptMarker, frozen=True, kw_only=True):
    asks = (
        "À la fin de votre réponse, ajoutez un post-scriptum commençant par {postscript_marker}",
        "Terminez par un post-scriptum qui débute par {postscript_marker}",
    )
    usual = {"postscript_marker": ("P.S.", "P.P.S", "P.-S.", "PS")}


@constraint("fr:combination:two_responses", family="combination", paper=_PAPER, claims=_FR)
class TwoResponses(bases.TwoResponses, frozen=True):
    asks = (
        "Donnez deux réponses différentes, séparées par six astérisques : ******.",
        "Écrivez deux versions distinctes et séparez-les par ******.",
    )
    excludes = excluded("fr", *NOT_WITH_TWO_ANSWERS)


@constraint("fr:combination:repeat_prompt", family="combination", paper=_PAPER, claims=_FR)
class RepeatPrompt(bases.RepeatedPrompt, frozen=True, kw_only=True):
    asks = (
        "Répétez d'abord la demande mot pour mot, puis donnez votre réponse. La demande : {prompt_to_repeat}",
        "Avant de répondre, répétez sans aucun changement : {prompt_to_repeat}",
    )
    usual = {"prompt_to_repeat": ("Écrivez un texte sur la mer.", "Expliquez comment on fait le pain.")}


# --- Edges, case, punctuation, language -------------------------------------------------------------------------------


@constraint("fr:startend:end_checker", family="startend", paper=_PAPER, claims=_FR)
class EndChecker(bases.Ending, frozen=True, kw_only=True):
    asks = (
        "Terminez votre réponse avec cette phrase mot pour mot : {end_phrase} Rien ne doit suivre.",
        "Les derniers mots de votre réponse doivent être : {end_phrase}",
    )
    usual = {"end_phrase": ("D'autres questions ?", "Que puis-je faire pour vous ?", "Bien à vous.")}


@constraint("fr:startend:quotation", family="startend", paper=_PAPER, claims=_FR)
class Quotation(bases.Quotation, frozen=True):
    """The whole answer stands between « », " " or ' '. `fixed` takes “ ” instead of apostrophes."""

    pairs = ('""', "''", "«»")
    asks = ("Mettez l'ensemble de votre réponse entre guillemets.", "Toute la réponse doit être entre guillemets.")

    def fixed(self) -> Checker:
        """Any double quotation marks, with something between."""
        return self.by(Quoted())


@constraint("fr:change_case:french_capital", family="case", paper=_PAPER, claims=_FR)
class AllCapitals(bases.OneCase, frozen=True):
    """All capitals, and French by langdetect."""

    code = "fr"
    other_case = "small letters"
    asks = ("Écrivez toute votre réponse en français et en majuscules.", "N'utilisez que des majuscules, en français.")
    excludes = excluded("fr", "change_case:french_lowercase")

    def in_case(self, raw: str) -> bool:
        return raw.isupper()

    def judged(self) -> Checker:
        return Uppercase()


@constraint("fr:change_case:french_lowercase", family="case", paper=_PAPER, claims=_FR)
class AllSmall(bases.OneCase, frozen=True):
    """All small letters, and French by langdetect."""

    code = "fr"
    other_case = "capitals"
    asks = ("Écrivez toute votre réponse en français et en minuscules.", "N'utilisez aucune majuscule ; en français.")
    excludes = excluded("fr", "change_case:french_capital", "change_case:capital_word_frequency")

    def in_case(self, raw: str) -> bool:
        return raw.islower()

    def judged(self) -> Checker:
        return Lowercase()


@constraint("fr:change_case:capital_word_frequency", family="case", paper=_PAPER, claims=_FR)
class CapitalWords(counts.CapitalCount, frozen=True, kw_only=True):
    """So many of NLTK's tokens in capitals; "À" and "L'" at the start of a sentence count. `fixed` leaves those out."""

    capitals_in = staticmethod(capital_tokens)
    asks = (
        "Dans votre réponse, des mots en majuscules doivent apparaître {capital_relation} {capital_frequency} fois.",
        "Écrivez {capital_relation} {capital_frequency} mots entièrement en MAJUSCULES.",
    )
    usual = {"capital_frequency": range(1, 13), "capital_relation": RELATIONS}

    capital_relation: Relation


@constraint("fr:punctuation:no_comma", family="punctuation", paper=_PAPER, claims=_FR)
class NoComma(bases.NoComma, frozen=True):
    asks = ("N'utilisez aucune virgule dans votre réponse.", "Écrivez toute la réponse sans virgule.")


@constraint("fr:language:response_language", family="language", paper=_PAPER, claims=_FR)
class ResponseLanguage(bases.AnswerLanguage, frozen=True, kw_only=True):
    names = NAMES
    asks = (
        "L'intégralité de votre réponse doit être en {language} ; aucune autre langue n'est autorisée.",
        "Répondez entièrement en {language}.",
    )
    usual = {"language": tuple(NAMES)}


# --- Words and letters ------------------------------------------------------------------------------------------------


@constraint("fr:keywords:existence", family="keywords", paper=_PAPER, claims=_FR)
class KeywordExistence(bases.KeywordList, frozen=True, kw_only=True):
    asks = ("Incluez les mots {keywords} dans la réponse.", "Votre réponse doit contenir : {keywords}.")
    usual = {"keywords": tuple(pairwise(WORDS))}


@constraint("fr:keywords:frequency", family="keywords", paper=_PAPER, claims=_FR)
class KeywordFrequency(bases.KeywordFrequency, frozen=True, kw_only=True):
    asks = (
        "Votre réponse doit contenir le mot {keyword} {relation} {frequency} fois.",
        "Employez le mot « {keyword} » {relation} {frequency} fois.",
    )
    usual = {"keyword": WORDS, "frequency": range(1, 5), "relation": RELATIONS}

    relation: Relation


@constraint("fr:keywords:forbidden_words", family="keywords", paper=_PAPER, claims=_FR)
class ForbiddenWords(bases.ForbiddenWords, frozen=True, kw_only=True):
    asks = ("N'incluez pas les mots {forbidden_words} dans votre réponse.", "Évitez ces mots : {forbidden_words}.")
    usual = {"forbidden_words": tuple(pairwise(WORDS))}


@constraint("fr:keywords:letter_frequency", family="keywords", paper=_PAPER, claims=_FR)
class LetterFrequency(bases.LetterFrequency, frozen=True, kw_only=True):
    asks = (
        "Dans votre réponse, la lettre {letter} doit apparaître {let_relation} {let_frequency} fois.",
        "Utilisez la lettre « {letter} » {let_relation} {let_frequency} fois.",
    )
    usual = {"letter": tuple(string.ascii_lowercase), "let_frequency": range(1, 21), "let_relation": RELATIONS}

    let_relation: Relation
