"""M-IFEval's Spanish constraints. "como máximo" includes the number; "al menos" as in English.

What needs spaCy in the reference is done by rule here. Words: `spanish_words` gives spaCy's tokens on all but 2 of 242
Spanish texts (the prompts of the data, and texts written to be hard). Sentences: spaCy's parser splits by syntax,
Punkt's Spanish tables by full stops; the number is the same for 195 of 222 texts and off by more than one for 8.
"""

from __future__ import annotations

import re
import string
import unicodedata
from itertools import pairwise
from typing import Literal

from adhere.constraints.base import Checker, Text, constraint
from adhere.constraints.case import Lowercase, Uppercase
from adhere.constraints.format import Highlights, Placeholders, Sections
from adhere.constraints.m_ifeval import bases, counts, reference
from adhere.constraints.m_ifeval.shared import (
    NOT_WITH_JSON,
    NOT_WITH_ONE_ANSWER,
    NOT_WITH_TWO_ANSWERS,
    excluded,
    sentence_spans,
)
from adhere.constraints.m_ifeval.spanish_words import tokens
from adhere.constraints.nltk_exact import Model, sentence_places
from adhere.constraints.structure import Quoted
from adhere.constraints.text import Place
from adhere.constraints.user_regex import UserRegex, user_regex
from adhere.records import Score

_PAPER, _ES = "ifeval", "es"
Relation = Literal["al menos", "como máximo"]
RELATIONS = ("al menos", "como máximo")

NAMES = {
    "ar": "árabe", "bg": "búlgaro", "bn": "bengalí", "de": "alemán", "en": "inglés", "es": "español", "fa": "persa",
    "fi": "finés", "fr": "francés", "gu": "guyaratí", "he": "hebreo", "hi": "hindi", "it": "italiano",
    "ja": "japonés", "kn": "canarés", "ko": "coreano", "ml": "malayalam", "mr": "maratí", "ne": "nepalí",
    "pa": "panyabí", "pl": "polaco", "pt": "portugués", "ru": "ruso", "sw": "suajili", "ta": "tamil", "te": "telugu",
    "th": "tailandés", "uk": "ucraniano", "ur": "urdu", "vi": "vietnamita",
}  # fmt: skip
WORDS = ("amigo", "comida", "escuela", "familia", "trabajo", "tiempo", "libro", "ciudad", "música", "camino")

# Punkt's Spanish tables know few abbreviations, since they come from one newspaper.
PUNKT = Model("spanish", frozenset((
    "sr", "sra", "srta", "dr", "dra", "ud", "uds", "vd", "vds", "etc", "núm", "pág", "p.ej", "ej", "aprox", "art", "av",
    "avda", "prof", "lic", "ing", "gral", "ee.uu", "p.d", "dpto", "fig", "vol", "cap", "s.a", "s.l", "a.m", "p.m",
    "a.c", "d.c", "u.e",
)))  # fmt: skip


# --- Length -----------------------------------------------------------------------------------------------------------


def _places(raw: str) -> list[Place]:
    # Marks alone ("!!!" behind a space) are no sentence to spaCy.
    return [place for place in sentence_places(raw, PUNKT) if any(map(str.isalnum, raw[slice(*place)]))]


def _fixed_places(raw: str) -> list[Place]:
    return sentence_spans(raw, PUNKT)


@constraint("es:length_constraints:number_sentences", family="length", paper=_PAPER, claims=_ES)
class NumberSentences(counts.SentenceCount, frozen=True, kw_only=True):
    """So many sentences by Punkt's Spanish model, list numbers included; the reference parses instead."""

    places = staticmethod(_places)
    asks = ("Tu respuesta debe tener {relation} {num_sentences} frases.", "Escribe {relation} {num_sentences} frases.")
    usual = {"num_sentences": range(3, 16), "relation": RELATIONS}

    relation: Relation

    def fixed(self) -> Checker:
        """Headings are no sentences, list items are."""
        return FixedNumberSentences(num_sentences=self.num_sentences, relation=self.relation)


class FixedNumberSentences(NumberSentences, frozen=True, kw_only=True):
    """The `fixed` dialect."""

    places = staticmethod(_fixed_places)


def _count_words(raw: str) -> int:
    return len(tokens(reference.without_list_marks(raw).replace("\n", " ")))


@constraint("es:length_constraints:number_words", family="length", paper=_PAPER, claims=_ES)
class NumberWords(counts.WordCount, frozen=True, kw_only=True):
    """So many of spaCy's tokens that are no punctuation, list marks removed first.

    Symbols ("+", "€") and white space beyond one space (every blank line) count as words. `fixed` counts words.
    """

    words_in = staticmethod(_count_words)
    asks = ("Responde con {relation} {num_words} palabras.", "Usa {relation} {num_words} palabras en tu respuesta.")
    usual = {"num_words": range(20, 400, 10), "relation": RELATIONS}

    relation: Relation


@constraint("es:length_constraints:number_paragraphs", family="length", paper=_PAPER, claims=_ES)
class NumberParagraphs(bases.ParagraphCount, frozen=True, kw_only=True):
    asks = (
        "Debe haber {num_paragraphs} párrafos, separados por el divisor de Markdown: ***",
        "Escribe exactamente {num_paragraphs} párrafos y sepáralos con ***.",
    )
    usual = {"num_paragraphs": range(2, 6)}


_NO_MARKS = str.maketrans("", "", string.punctuation)


@constraint("es:length_constraints:nth_paragraph_first_word", family="length", paper=_PAPER, claims=_ES)
class NthParagraph(bases.FreeNthParagraph, frozen=True, kw_only=True):
    asks = (
        "Escribe {num_paragraphs} párrafos separados por una línea en blanco. El párrafo {nth_paragraph} debe empezar "
        'con "{first_word}".',
        'Tu respuesta tendrá {num_paragraphs} párrafos y el número {nth_paragraph} comenzará con "{first_word}".',
    )
    usual = {"first_word": ("Para", "En mi opinión", "Entonces", "Diría que", "Además")}

    def begins(self, paragraph: str) -> bool:
        """Word by word, ASCII punctuation taken out of the words."""
        wanted = self.first_word.lower().split()
        # No more of a long paragraph is looked at than the words wanted can reach.
        words = paragraph.split(maxsplit=len(wanted))[: len(wanted)]
        return [word.translate(_NO_MARKS).lower() for word in words] == wanted


# --- Format -----------------------------------------------------------------------------------------------------------


@constraint("es:detectable_content:number_placeholders", family="format", paper=_PAPER, claims=_ES)
class NumberPlaceholders(bases.PlaceholderCount, frozen=True, kw_only=True):
    """At least so many [placeholders], whatever the relation; "[]" counts. `fixed` obeys "como máximo"."""

    asks = (
        "Incluye {relation} {num_placeholders} marcadores de posición entre corchetes, como [dirección].",
        "La respuesta debe contener {relation} {num_placeholders} huecos por rellenar, como [nombre].",
    )
    usual = {"num_placeholders": range(1, 6), "relation": ("al menos",)}

    relation: Relation

    def fixed(self) -> Checker:
        """In the direction that the relation says; blank brackets and links are no placeholders."""
        return self.by(Placeholders(**_native(self.relation, self.num_placeholders)))


@constraint("es:detectable_format:number_highlighted_sections", family="format", paper=_PAPER, claims=_ES)
class NumberHighlights(bases.HighlightCount, frozen=True, kw_only=True):
    """At least so many pieces in asterisks, whatever the relation. `fixed` obeys "como máximo"."""

    asks = (
        "Resalta {relation} {num_highlights} secciones de tu respuesta con Markdown, p. ej. *sección resaltada*.",
        "Tu respuesta debe tener {relation} {num_highlights} partes resaltadas *así*.",
    )
    usual = {"num_highlights": range(1, 5), "relation": ("al menos",)}

    relation: Relation

    def fixed(self) -> Checker:
        """In the direction that the relation says; emphasis as Markdown has it."""
        return self.by(Highlights(**_native(self.relation, self.num_highlights)))


@constraint("es:detectable_format:multiple_sections", family="format", paper=_PAPER, claims=_ES)
class MultipleSections(bases.SectionCount, frozen=True, kw_only=True):
    """At least so many times the section word and a number, whatever the relation, in running text too."""

    asks = (
        "Tu respuesta debe tener {relation} {num_sections} secciones. Marca el principio de cada una con "
        "{section_spliter} X, como {section_spliter} 1.",
        "Divide la respuesta en {relation} {num_sections} secciones encabezadas por {section_spliter} 1, etc.",
    )
    usual = {"section_spliter": ("Sección", "SECCIÓN"), "num_sections": range(2, 6), "relation": ("al menos",)}

    relation: Relation

    def fixed(self) -> Checker:
        """In the direction that the relation says, at line starts alone."""
        bounds = _native(self.relation, self.num_sections)
        return self.by(Sections(marker=self.section_spliter.strip(), **bounds))


def _native(relation: Relation, number: int) -> dict[str, int]:
    return {"at_least" if relation == "al menos" else "at_most": number}


@constraint("es:detectable_format:number_bullet_lists", family="format", paper=_PAPER, claims=_ES)
class NumberBullets(bases.BulletCount, frozen=True, kw_only=True):
    """Exactly so many bullets with an asterisk; hyphens do not count. `fixed` takes any Markdown bullet."""

    items = (re.compile(r"\*[^*].*"),)
    asks = (
        "Tu respuesta debe contener exactamente {num_bullets} puntos de lista en Markdown, como:\n* Este es un punto.",
        "Usa exactamente {num_bullets} viñetas de Markdown, escritas * así.",
    )
    usual = {"num_bullets": range(2, 7)}


@constraint("es:detectable_format:constrained_response", family="content", paper=_PAPER, claims=_ES)
class ConstrainedResponse(bases.Alternatives, frozen=True):
    options = ("Sí.", "No.", "Quizás.")
    asks = (
        'Responde con una de estas opciones: "Sí.", "No.", "Quizás."',
        'Tu respuesta debe ser "Sí.", "No." o "Quizás.".',
    )
    excludes = excluded("es", *NOT_WITH_ONE_ANSWER)


@constraint("es:detectable_format:json_format", family="format", paper=_PAPER, claims=_ES)
class JsonFormat(bases.JsonAnswer, frozen=True):
    asks = ("Toda la respuesta debe estar en formato JSON.", "Devuelve únicamente un JSON válido.")
    excludes = excluded("es", *NOT_WITH_JSON)


@constraint("es:detectable_format:title", family="format", paper=_PAPER, claims=_ES)
class Title(bases.TitleLine, frozen=True):
    marks = ("<<", ">>")
    asks = (
        "Tu respuesta debe contener un título entre dobles corchetes angulares, como <<poema de alegría>>.",
        "Pon un título a tu respuesta, escrito <<así>>.",
    )


@constraint("es:detectable_content:postscript", family="content", paper=_PAPER, claims=_ES)
class PostscriptMark(bases.PostscriptMarker, frozen=True, kw_only=True):
    asks = (
        "Al final de tu respuesta, añade una posdata que empiece por {postscript_marker}",
        "Termina con una posdata que comience por {postscript_marker}",
    )
    usual = {"postscript_marker": ("P.D.", "Nota")}

    def _all(self) -> tuple[UserRegex, ...]:
        # "P.D." with a space between at will; "Nota" stands in "notable" too.
        return (user_regex(r"p\.\s?d\."),) if self.postscript_marker.strip() == "P.D." else super()._all()


@constraint("es:combination:two_responses", family="combination", paper=_PAPER, claims=_ES)
class TwoResponses(bases.TwoResponses, frozen=True):
    asks = (
        "Da dos respuestas diferentes, separadas por seis asteriscos: ******.",
        "Escribe dos versiones distintas y sepáralas con ******.",
    )
    excludes = excluded("es", *NOT_WITH_TWO_ANSWERS)


@constraint("es:combination:repeat_prompt", family="combination", paper=_PAPER, claims=_ES)
class RepeatPrompt(bases.RepeatedPrompt, frozen=True, kw_only=True):
    asks = (
        "Primero repite la petición sin cambios y luego da tu respuesta. La petición: {prompt_to_repeat}",
        "Antes de responder, repite palabra por palabra: {prompt_to_repeat}",
    )
    usual = {"prompt_to_repeat": ("Escribe un texto sobre el mar.", "Explica cómo se hace el pan.")}


# --- Edges, case, punctuation, language -------------------------------------------------------------------------------


@constraint("es:startend:end_checker", family="startend", paper=_PAPER, claims=_ES)
class EndChecker(bases.Ending, frozen=True, kw_only=True):
    """The answer ends with the phrase, in any case; one full stop behind it does not count.

    So a phrase that itself ends in a full stop never passes. `fixed` takes it, and wants whole words.
    """

    asks = (
        'Termina tu respuesta con la frase exacta "{end_phrase}". Nada debe seguirla.',
        'Las últimas palabras de tu respuesta deben ser "{end_phrase}".',
    )
    usual = {"end_phrase": ("Un saludo", "¿Necesitas algo más?", "Quedo pendiente de la siguiente consulta")}

    def passes(self, text: str | Text) -> bool:
        """The verdict alone."""
        ending = self._ending(Text.of(text)).lower()
        return ending.removesuffix(".").endswith(self.end_phrase.strip().lower())

    def fixed(self) -> Checker:
        """The phrase with or without a full stop behind it."""
        return FixedEndChecker(end_phrase=self.end_phrase)


class FixedEndChecker(EndChecker, frozen=True, kw_only=True):
    """The `fixed` dialect."""

    def check(self, text: str | Text) -> Score:
        """Whole words; quotation marks, emphasis and a full stop may follow."""
        raw = Text.of(text).raw.rstrip().rstrip("\"'“”‘’«»*_`").rstrip()
        phrase = self.end_phrase.strip()
        bare, wanted = raw.removesuffix(".").lower(), phrase.removesuffix(".").lower()
        before = bare[: len(bare) - len(wanted)]
        ends = bare.endswith(wanted) and not (before[-1:].isalnum() and wanted[:1].isalnum())
        return self.verdict(ends, f"the answer ends '{bare[-len(wanted) - 10 :]}', '{phrase}' wanted")


@constraint("es:startend:quotation", family="startend", paper=_PAPER, claims=_ES)
class Quotation(bases.Quotation, frozen=True):
    """The whole answer stands between straight double quotes. `fixed` takes “ ” and « » too."""

    pairs = ('""',)
    asks = ("Envuelve toda tu respuesta en comillas dobles.", "Toda la respuesta debe ir entre comillas dobles.")

    def fixed(self) -> Checker:
        """Any double quotation marks, with something between."""
        return self.by(Quoted())


@constraint("es:change_case:spanish_capital", family="case", paper=_PAPER, claims=_ES)
class AllCapitals(bases.OneCase, frozen=True):
    """All capitals and Spanish by langdetect; a text without letters passes, "1.º" fails."""

    code = "es"
    other_case = "small letters"
    asks = ("Escribe toda tu respuesta en español y en mayúsculas.", "Usa solo letras mayúsculas, en español.")
    excludes = excluded("es", "change_case:spanish_lowercase")

    def in_case(self, raw: str) -> bool:
        """After compatibility decomposition, which turns "º" into "o"."""
        decomposed = unicodedata.normalize("NFKD", raw)
        return not any(c.isalpha() and not c.isupper() and not unicodedata.combining(c) for c in decomposed)

    def judged(self) -> Checker:
        return Uppercase()


@constraint("es:change_case:spanish_lowercase", family="case", paper=_PAPER, claims=_ES)
class AllSmall(bases.OneCase, frozen=True):
    """All small letters, and Spanish by langdetect."""

    code = "es"
    other_case = "capitals"
    asks = ("Escribe toda tu respuesta en español y en minúsculas.", "No uses ninguna letra mayúscula; en español.")
    excludes = excluded("es", "change_case:spanish_capital", "change_case:capital_word_frequency")

    def in_case(self, raw: str) -> bool:
        return raw.islower()

    def judged(self) -> Checker:
        return Lowercase()


def _capital_tokens(raw: str) -> int:
    return sum(map(str.isupper, tokens(raw)))


@constraint("es:change_case:capital_word_frequency", family="case", paper=_PAPER, claims=_ES)
class CapitalWords(counts.CapitalCount, frozen=True, kw_only=True):
    """So many of spaCy's tokens in capitals; "A" and "Y" at the start of a sentence count. `fixed` leaves those out."""

    capitals_in = staticmethod(_capital_tokens)
    asks = (
        "Escribe palabras completamente en mayúsculas {capital_relation} {capital_frequency} veces.",
        "En tu respuesta debe haber {capital_relation} {capital_frequency} palabras en MAYÚSCULAS.",
    )
    usual = {"capital_frequency": range(1, 13), "capital_relation": RELATIONS}

    capital_relation: Relation


@constraint("es:punctuation:no_comma", family="punctuation", paper=_PAPER, claims=_ES)
class NoComma(bases.NoComma, frozen=True):
    asks = ("No uses comas en toda la respuesta.", "Abstente de usar comas.")


@constraint("es:language:response_language", family="language", paper=_PAPER, claims=_ES)
class ResponseLanguage(bases.AnswerLanguage, frozen=True, kw_only=True):
    names = NAMES
    asks = (
        "Responde COMPLETAMENTE en {language}; ningún otro idioma está permitido.",
        "Escribe toda la respuesta en {language}.",
    )
    usual = {"language": tuple(NAMES)}


# --- Words and letters ------------------------------------------------------------------------------------------------


@constraint("es:keywords:existence", family="keywords", paper=_PAPER, claims=_ES)
class KeywordExistence(bases.KeywordList, frozen=True, kw_only=True):
    asks = ("Incluye las palabras clave {keywords} en tu respuesta.", "Tu respuesta debe contener: {keywords}.")
    usual = {"keywords": tuple(pairwise(WORDS))}


@constraint("es:keywords:frequency", family="keywords", paper=_PAPER, claims=_ES)
class KeywordFrequency(bases.KeywordFrequency, frozen=True, kw_only=True):
    asks = (
        "En tu respuesta, la palabra {keyword} debe aparecer {relation} {frequency} veces.",
        'Usa la palabra "{keyword}" {relation} {frequency} veces.',
    )
    usual = {"keyword": WORDS, "frequency": range(1, 5), "relation": RELATIONS}

    relation: Relation


@constraint("es:keywords:forbidden_words", family="keywords", paper=_PAPER, claims=_ES)
class ForbiddenWords(bases.ForbiddenWords, frozen=True, kw_only=True):
    asks = ("No incluyas las palabras {forbidden_words} en tu respuesta.", "Evita estas palabras: {forbidden_words}.")
    usual = {"forbidden_words": tuple(pairwise(WORDS))}


@constraint("es:keywords:letter_frequency", family="keywords", paper=_PAPER, claims=_ES)
class LetterFrequency(bases.LetterFrequency, frozen=True, kw_only=True):
    asks = (
        "En tu respuesta, la letra {letter} debe aparecer {let_relation} {let_frequency} veces.",
        'Usa la letra "{letter}" {let_relation} {let_frequency} veces.',
    )
    usual = {"letter": tuple(string.ascii_lowercase), "let_frequency": range(1, 21), "let_relation": RELATIONS}

    let_relation: Relation
