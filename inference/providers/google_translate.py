"""Google's Cloud Translation, the basic edition (v2). Pure.

The base URL is https://translation.googleapis.com. A target's `model` is Google's (`nmt`). Held against Google's pages
"Method: translate" (fields, the answer, `format` being HTML unless something else is said) and "Quotas and limits"
(used-up quotas are refused with 403). Keys go in `x-goog-api-key`, as its page on API keys has it.
(https://cloud.google.com/translate/docs/reference/rest/v2/translate)

The answer counts nothing; Google charges for the characters sent, and those are counted by the gateway.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import msgspec
from msgspec import Struct

from inference.ir.cards import Kind, Model
from inference.ir.errors import AspendosError, UpstreamGarbled
from inference.ir.translation import Translated, TranslationRequest, TranslationResult, lost_words
from inference.providers.gemini.errors import read_error
from inference.wire import ChatFormat, Exchange, Lane, Outgoing

_encode = msgspec.json.Encoder().encode
_CHINESE = {"zh-hans": "zh-CN", "zh-hant": "zh-TW"}
"""Google names the scripts of Chinese by places."""
_QUOTAS = frozenset({"dailyLimitExceeded", "userRateLimitExceeded", "rateLimitExceeded", "quotaExceeded"})


class _Text(Struct, rename="camel"):
    translated_text: str
    detected_source_language: str | None = None


class _Data(Struct):
    translations: list[_Text]


class _Answer(Struct):
    data: _Data


class _Reason(Struct):
    reason: str | None = None


class _Fault(Struct, frozen=True):
    errors: tuple[_Reason, ...] = ()


class _Refusal(Struct):
    error: _Fault = _Fault()


_answer = msgspec.json.Decoder(_Answer)
_refusal = msgspec.json.Decoder(_Refusal)


class GoogleTranslation:
    """The exchange."""

    def request(self, asked: TranslationRequest, *, model: str, card: Model) -> Outgoing:
        """Neither glossaries nor formality: those are of Google's other edition."""
        written: dict[str, Any] = {
            "q": asked.texts,
            "target": _language(asked.target),
            "format": asked.format,
            "model": model,
        }
        if asked.source is not None:
            written["source"] = _language(asked.source)
        return Outgoing(
            path="/language/translate/v2", body=_encode(written), dropped=lost_words(asked, glossary=True)
        )

    def answer(self, body: bytes, content_type: str) -> TranslationResult:
        """Raises UpstreamGarbled."""
        try:
            texts = _answer.decode(body).data.translations
        except (msgspec.DecodeError, RecursionError):
            raise UpstreamGarbled("The upstream's answer is no translation.") from None
        return TranslationResult(
            texts=tuple(
                Translated(text=each.translated_text, detected=each.detected_source_language)
                for each in texts
            )
        )


class GoogleTranslate:
    """The format."""

    lanes: ClassVar[Mapping[str, Lane]] = {}
    chat: ChatFormat | None = None
    exchanges: Mapping[Kind, Exchange] = {Kind.TRANSLATION: GoogleTranslation()}
    probe: str = "/language/translate/v2/languages"

    def credential(self, key: str) -> tuple[str, str]:
        """The header that carries a key, and its value."""
        return "x-goog-api-key", key

    def error(self, status: int, retry_after: float | None, body: bytes) -> AspendosError:
        """Google's error object; a 403 for a quota is a limit reached, not a key refused."""
        if status == 403 and _QUOTAS.intersection(_reasons(body)):
            status = 429
        return read_error(status, retry_after, body)


def _reasons(body: bytes) -> list[str]:
    try:
        return [each.reason or "" for each in _refusal.decode(body).error.errors]
    except (msgspec.DecodeError, RecursionError):
        return []


def _language(tag: str) -> str:
    return _CHINESE.get(tag.lower(), tag)


WIRE = GoogleTranslate()
