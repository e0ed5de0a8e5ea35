"""What Google's Translation is told, and what its answers and refusals mean; as its documentation has them."""

import json
from typing import Any

import pytest
from msgspec import Raw

from inference.ir.cards import Kind
from inference.ir.errors import UpstreamAuth, UpstreamGarbled, UpstreamRateLimited, UpstreamRefused
from inference.ir.translation import Formality, TextFormat, Translated, TranslationRequest
from inference.ir.usage import NO_USAGE
from inference.providers.google_translate import WIRE

EXCHANGE = WIRE.exchanges[Kind.TRANSLATION]


def sent(**fields: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
    said: dict[str, Any] = {"target": "de", **fields}
    asked = TranslationRequest(model="m", texts=("Hello <world>", "b"), **said)
    out = EXCHANGE.request(asked, model="nmt", card=None)  # pyright: ignore[reportArgumentType]  # not looked at
    assert out.path == "/language/translate/v2"
    return json.loads(out.body), out.dropped


def test_plain_text_is_said_to_be_plain() -> None:
    """Left out, Google would take it for HTML, and answer `&#39;` for an apostrophe."""
    assert sent() == ({"q": ["Hello <world>", "b"], "target": "de", "format": "text", "model": "nmt"}, ())


def test_languages_and_html() -> None:
    written, _ = sent(source="zh-Hant", target="zh-hans", format=TextFormat.HTML)
    assert (written["source"], written["target"], written["format"]) == ("zh-TW", "zh-CN", "html")


def test_what_it_has_no_word_for() -> None:
    _, dropped = sent(formality=Formality.MORE, glossary="g", rest={"context": Raw(b'"x"')})
    assert dropped == ("context", "formality", "glossary")


def test_its_answer() -> None:
    told = [{"translatedText": "Hallo", "detectedSourceLanguage": "en"}, {"translatedText": "b"}]
    result = EXCHANGE.answer(json.dumps({"data": {"translations": told}}).encode(), "")
    assert result.texts == (Translated(text="Hallo", detected="en"), Translated(text="b"))
    assert result.usage == NO_USAGE


@pytest.mark.parametrize("body", [b"", b"[]", b'{"data": {}}', b'{"data": {"translations": [{}]}}'])
def test_garbage(body: bytes) -> None:
    with pytest.raises(UpstreamGarbled):
        EXCHANGE.answer(body, "")


def refusal(code: int, message: str, reason: str, **more: Any) -> bytes:
    errors = [{"message": message, "domain": "global", "reason": reason}]
    return json.dumps({"error": {"code": code, "message": message, "errors": errors, **more}}).encode()


@pytest.mark.parametrize(
    ("status", "reason", "more", "kind"),
    [
        (400, "invalid", {"status": "INVALID_ARGUMENT"}, UpstreamRefused),
        (400, "badRequest", {"details": [{"reason": "API_KEY_INVALID"}]}, UpstreamAuth),
        (403, "forbidden", {"status": "PERMISSION_DENIED"}, UpstreamAuth),
        (403, "userRateLimitExceeded", {}, UpstreamRateLimited),
        (403, "dailyLimitExceeded", {}, UpstreamRateLimited),
        (429, "rateLimitExceeded", {}, UpstreamRateLimited),
    ],
)
def test_refusals(status: int, reason: str, more: dict[str, Any], kind: type[Exception]) -> None:
    assert type(WIRE.error(status, None, refusal(status, "No.", reason, **more))) is kind


def test_a_refusal_that_is_no_json() -> None:
    assert type(WIRE.error(403, None, b"<html>")) is UpstreamAuth


def test_its_key_is_in_no_address() -> None:
    assert WIRE.credential("k") == ("x-goog-api-key", "k")
