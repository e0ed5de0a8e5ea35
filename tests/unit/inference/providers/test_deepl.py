"""What DeepL is told, and what its answers and refusals mean. Texts and statuses as its documentation has them."""

import json
from typing import Any

import msgspec
import pytest

from inference.ir.cards import Kind
from inference.ir.errors import (
    UpstreamAuth,
    UpstreamFailed,
    UpstreamGarbled,
    UpstreamRateLimited,
    UpstreamRefused,
)
from inference.ir.translation import Formality, TextFormat, Translated, TranslationRequest
from inference.ir.usage import NO_USAGE, Usage, UsageSource
from inference.providers.deepl import WIRE

EXCHANGE = WIRE.exchanges[Kind.TRANSLATION]


def sent(model: str = "default", **fields: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
    said: dict[str, Any] = {"target": "de", **fields}
    asked = TranslationRequest(model="m", texts=("Hello, world!",), **said)
    out = EXCHANGE.request(asked, model=model, card=None)  # pyright: ignore[reportArgumentType]  # not looked at
    assert (out.method, out.path) == ("POST", "/v2/translate")
    return json.loads(out.body), out.dropped


def test_the_least() -> None:
    least = {"text": ["Hello, world!"], "target_lang": "DE", "show_billed_characters": True}
    assert sent() == (least, ())


def test_everything() -> None:
    rest = {"context": msgspec.Raw(b'"A letter."'), "odd": msgspec.Raw(b"1")}
    written, dropped = sent(
        "quality_optimized",
        target="pt-BR",
        source="en-US",
        formality=Formality.PREFER_MORE,
        glossary="def3a26b",
        format=TextFormat.HTML,
        rest=rest,
    )
    assert written == {
        "text": ["Hello, world!"],
        "target_lang": "PT-BR",
        "source_lang": "EN",
        "show_billed_characters": True,
        "model_type": "quality_optimized",
        "formality": "prefer_more",
        "glossary_id": "def3a26b",
        "tag_handling": "html",
        "context": "A letter.",
    }
    assert dropped == ("odd",)


def test_its_answer_and_what_it_charges() -> None:
    given = {"detected_source_language": "EN", "text": "Hallo, Welt!", "billed_characters": 13}
    result = EXCHANGE.answer(json.dumps({"translations": [given, given]}).encode(), "")
    assert result.texts == (Translated(text="Hallo, Welt!", detected="en"),) * 2
    assert result.usage == Usage(characters=26, source=UsageSource.REPORTED)


def test_a_charge_that_is_not_told_whole_is_not_believed() -> None:
    given = [{"text": "a", "billed_characters": 1}, {"text": "b"}]
    result = EXCHANGE.answer(json.dumps({"translations": given}).encode(), "")
    assert result.usage == NO_USAGE
    assert EXCHANGE.answer(b'{"translations": []}', "").usage == NO_USAGE


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"{}", b'{"translations": [{"text": 3}]}'])
def test_garbage(body: bytes) -> None:
    with pytest.raises(UpstreamGarbled):
        EXCHANGE.answer(body, "")


@pytest.mark.parametrize(
    ("status", "kind", "ours"),
    [
        (400, UpstreamRefused, 400),
        (403, UpstreamAuth, 502),
        (413, UpstreamRefused, 413),
        (429, UpstreamRateLimited, 429),
        (456, UpstreamAuth, 502),
        (500, UpstreamFailed, 502),
        (529, UpstreamFailed, 503),
    ],
)
def test_refusals(status: int, kind: type[Exception], ours: int) -> None:
    error = WIRE.error(status, None, b'{"message": "Value for target_lang not supported."}')
    assert type(error) is kind
    assert error.http_status == ours
    assert (kind is UpstreamRefused) == (error.message == "Value for target_lang not supported.")


def test_its_key() -> None:
    assert WIRE.credential("k:fx") == ("authorization", "DeepL-Auth-Key k:fx")
