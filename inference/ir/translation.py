"""Translation: texts to be said in another language, and those texts. Pure; speech is none of it."""

from enum import StrEnum

from msgspec import Struct

from inference.ir.content import NO_REST, Rest
from inference.ir.usage import NO_USAGE, Usage


class Formality(StrEnum):
    """How the reader is addressed. `prefer_*`: where the language knows the difference, else as it is used there."""

    DEFAULT = "default"
    MORE = "more"
    LESS = "less"
    PREFER_MORE = "prefer_more"
    PREFER_LESS = "prefer_less"


class TextFormat(StrEnum):
    """What the texts are. Tags of `html` are kept, and what stands between them is translated."""

    TEXT = "text"
    HTML = "html"


class TranslationRequest(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`model` is the name the client used. Languages are BCP 47 tags (`de`, `pt-BR`, `zh-Hans`); `source` None: found
    out by the provider. `glossary` is the name of one that lies at the provider. `rest` is what has no word here.
    """

    model: str
    texts: tuple[str, ...]
    target: str
    source: str | None = None
    formality: Formality = Formality.DEFAULT
    glossary: str | None = None
    format: TextFormat = TextFormat.TEXT
    rest: Rest = NO_REST


class Translated(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One text in the other language. `detected` is the tag of the language the provider took it to be in."""

    text: str
    detected: str | None = None


class TranslationResult(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """As many as there were texts, in their order. `usage.characters` are those the provider says it charges."""

    texts: tuple[Translated, ...]
    usage: Usage = NO_USAGE


def lost_words(
    asked: TranslationRequest, *, glossary: bool, own: frozenset[str] = frozenset()
) -> tuple[str, ...]:
    """The client's fields that a provider without formality takes no notice of; `glossary`: nor has it glossaries."""
    lost = [name for name in asked.rest if name not in own]
    if asked.formality is not Formality.DEFAULT:
        lost.append("formality")
    if glossary and asked.glossary is not None:
        lost.append("glossary")
    return tuple(lost)
