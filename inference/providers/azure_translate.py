"""Azure's Translator, version 3.0. Pure.

The base URL is https://api.cognitive.microsofttranslator.com, or that of a resource's own endpoint with
`/translator/text/v3.0`. Keys of a regional resource want the provider's `headers` to say
`Ocp-Apim-Subscription-Region`. A target's `model` is a `category`: `general`, or the id of a system of Custom
Translator. Held against Microsoft's pages "Translator v3.0" (keys, error object) and "Translate" (query, body, answer).
(https://learn.microsoft.com/azure/ai-services/translator/text-translation/reference/v3/translate)

What was charged stands in a header of the answer, which is not read: the gateway counts the characters sent. Azure
counts those beyond the Basic Multilingual Plane twice.
"""

from collections.abc import Mapping
from typing import ClassVar
from urllib.parse import urlencode

import msgspec
from msgspec import Struct

from inference.ir.cards import Kind, Model
from inference.ir.errors import AspendosError, UpstreamGarbled
from inference.ir.translation import (
    TextFormat,
    Translated,
    TranslationRequest,
    TranslationResult,
    lost_words,
)
from inference.providers.openai.errors import read_error
from inference.wire import ChatFormat, Exchange, Lane, Outgoing

API_VERSION = "3.0"

_encode = msgspec.json.Encoder().encode


class _Detected(Struct):
    language: str


class _Text(Struct):
    text: str


class _Answer(Struct, rename="camel"):
    translations: list[_Text]
    detected_language: _Detected | None = None


_answers = msgspec.json.Decoder(list[_Answer])


class AzureTranslation:
    """The exchange."""

    def request(self, asked: TranslationRequest, *, model: str, card: Model) -> Outgoing:
        """All but the texts is said in the query."""
        query = {"api-version": API_VERSION, "to": asked.target, "category": model}
        if asked.source is not None:
            query["from"] = asked.source
        if asked.format is TextFormat.HTML:
            query["textType"] = "html"
        return Outgoing(
            path=f"/translate?{urlencode(query)}",
            body=_encode([{"Text": text} for text in asked.texts]),
            dropped=lost_words(asked, glossary=True),
        )

    def answer(self, body: bytes, content_type: str) -> TranslationResult:
        """Raises UpstreamGarbled."""
        try:
            answers = _answers.decode(body)
        except (msgspec.DecodeError, RecursionError):
            raise UpstreamGarbled("The upstream's answer is no translation.") from None
        if any(len(each.translations) != 1 for each in answers):
            raise UpstreamGarbled(
                "The upstream answered with more languages than it was asked for, or fewer."
            )
        return TranslationResult(
            texts=tuple(
                Translated(
                    text=each.translations[0].text,
                    detected=None if each.detected_language is None else each.detected_language.language,
                )
                for each in answers
            )
        )


class AzureTranslate:
    """The format. Its list of languages is shown to anybody, so a key is tested by nothing but its use."""

    lanes: ClassVar[Mapping[str, Lane]] = {}
    chat: ChatFormat | None = None
    exchanges: Mapping[Kind, Exchange] = {Kind.TRANSLATION: AzureTranslation()}
    probe: str = f"/languages?api-version={API_VERSION}"

    def credential(self, key: str) -> tuple[str, str]:
        """The header that carries a key, and its value."""
        return "ocp-apim-subscription-key", key

    def error(self, status: int, retry_after: float | None, body: bytes) -> AspendosError:
        """A refusal as one of ours: `{"error": {"code": 401000, "message": ...}}`."""
        return read_error(status, retry_after, body)


WIRE = AzureTranslate()
