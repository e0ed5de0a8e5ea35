"""DeepL's wire format: texts translated by its second version. Pure.

The base URL is https://api.deepl.com, or https://api-free.deepl.com for keys of the free plan. A target's `model` is
DeepL's `model_type` (`quality_optimized`, `latency_optimized`, ...); `default` says none. Held against DeepL's OpenAPI
document 3.9 and its pages "Translate text" and "Error handling": fields, languages, `billed_characters`, and 456 for a
used-up quota. (https://developers.deepl.com/docs/api-reference/translate)
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import msgspec
from msgspec import Struct

from inference.ir.cards import Kind, Model
from inference.ir.errors import AspendosError, UpstreamGarbled
from inference.ir.translation import (
    Formality,
    TextFormat,
    Translated,
    TranslationRequest,
    TranslationResult,
)
from inference.ir.usage import NO_USAGE, Usage, UsageSource
from inference.providers.openai.errors import read_error
from inference.wire import ChatFormat, Exchange, Lane, Outgoing

QUOTA_EXCEEDED = 456
"""The account's characters for this month are used up: no mistake of the request's."""

_encode = msgspec.json.Encoder().encode
_OWN_WORDS = frozenset(
    {
        "context",
        "split_sentences",
        "preserve_formatting",
        "outline_detection",
        "non_splitting_tags",
        "splitting_tags",
        "ignore_tags",
    }
)


class _Text(Struct):
    text: str
    detected_source_language: str | None = None
    billed_characters: int | None = None


class _Answer(Struct):
    translations: list[_Text]


_answer = msgspec.json.Decoder(_Answer)


class DeepLTranslation:
    """The exchange."""

    def request(self, asked: TranslationRequest, *, model: str, card: Model) -> Outgoing:
        """The regions of a source language are left out, for DeepL knows them only of targets."""
        written: dict[str, Any] = {
            "text": asked.texts,
            "target_lang": asked.target.upper(),
            "show_billed_characters": True,
        }
        if asked.source is not None:
            written["source_lang"] = asked.source.partition("-")[0].upper()
        if model != "default":
            written["model_type"] = model
        if asked.formality is not Formality.DEFAULT:
            written["formality"] = asked.formality
        if asked.glossary is not None:
            written["glossary_id"] = asked.glossary
        if asked.format is TextFormat.HTML:
            written["tag_handling"] = "html"
        written |= {name: value for name, value in asked.rest.items() if name in _OWN_WORDS}
        lost = tuple(name for name in asked.rest if name not in _OWN_WORDS)
        return Outgoing(path="/v2/translate", body=_encode(written), dropped=lost)

    def answer(self, body: bytes, content_type: str) -> TranslationResult:
        """Raises UpstreamGarbled."""
        try:
            texts = _answer.decode(body).translations
        except (msgspec.DecodeError, RecursionError):
            raise UpstreamGarbled("The upstream's answer is no translation.") from None
        billed = [each.billed_characters for each in texts]
        counted = [count for count in billed if count is not None]
        usage = NO_USAGE
        if texts and len(counted) == len(texts):
            usage = Usage(characters=sum(max(count, 0) for count in counted), source=UsageSource.REPORTED)
        return TranslationResult(
            texts=tuple(
                Translated(text=each.text, detected=_tag(each.detected_source_language)) for each in texts
            ),
            usage=usage,
        )


class DeepL:
    """The format."""

    lanes: ClassVar[Mapping[str, Lane]] = {}
    chat: ChatFormat | None = None
    exchanges: Mapping[Kind, Exchange] = {Kind.TRANSLATION: DeepLTranslation()}
    probe: str = "/v2/usage"

    def credential(self, key: str) -> tuple[str, str]:
        """The header that carries a key, and its value."""
        return "authorization", f"DeepL-Auth-Key {key}"

    def error(self, status: int, retry_after: float | None, body: bytes) -> AspendosError:
        """A refusal as one of ours: `{"message": ...}`. A used-up quota is the account's, as an unpaid bill is."""
        return read_error(402 if status == QUOTA_EXCEEDED else status, retry_after, body)


def _tag(language: str | None) -> str | None:
    """DeepL shouts its language codes."""
    return None if language is None else language.lower()


WIRE = DeepL()
