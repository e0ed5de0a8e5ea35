"""What Azure's Translator is told, and what its answers and refusals mean; as its documentation has them."""

import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from inference.ir.cards import Kind
from inference.ir.errors import UpstreamAuth, UpstreamGarbled, UpstreamRateLimited, UpstreamRefused
from inference.ir.translation import Formality, TextFormat, Translated, TranslationRequest
from inference.providers.azure_translate import WIRE

EXCHANGE = WIRE.exchanges[Kind.TRANSLATION]


def sent(model: str = "general", **fields: Any) -> tuple[dict[str, list[str]], Any, tuple[str, ...]]:
    said: dict[str, Any] = {"target": "de", **fields}
    asked = TranslationRequest(model="m", texts=("Hello", "b"), **said)
    out = EXCHANGE.request(asked, model=model, card=None)  # pyright: ignore[reportArgumentType]  # not looked at
    path = urlsplit(out.path)
    assert path.path == "/translate"
    return parse_qs(path.query), json.loads(out.body), out.dropped


def test_the_least() -> None:
    query, body, dropped = sent()
    assert query == {"api-version": ["3.0"], "to": ["de"], "category": ["general"]}
    assert body == [{"Text": "Hello"}, {"Text": "b"}]
    assert dropped == ()


def test_everything() -> None:
    query, _, dropped = sent(
        "a&b", source="en", format=TextFormat.HTML, formality=Formality.LESS, glossary="g"
    )
    assert (query["from"], query["textType"], query["category"]) == (["en"], ["html"], ["a&b"])
    assert dropped == ("formality", "glossary")


def test_its_answer() -> None:
    told = [
        {
            "detectedLanguage": {"language": "en", "score": 1.0},
            "translations": [{"text": "Hallo", "to": "de"}],
        },
        {"translations": [{"text": "b", "to": "de"}]},
    ]
    result = EXCHANGE.answer(json.dumps(told).encode(), "")
    assert result.texts == (Translated(text="Hallo", detected="en"), Translated(text="b"))


@pytest.mark.parametrize("body", [b"", b"{}", b"[{}]", b'[{"translations": []}]'])
def test_garbage(body: bytes) -> None:
    with pytest.raises(UpstreamGarbled):
        EXCHANGE.answer(body, "")


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, 400036, UpstreamRefused),
        (401, 401000, UpstreamAuth),
        (403, 403001, UpstreamAuth),
        (429, 429001, UpstreamRateLimited),
    ],
)
def test_refusals(status: int, code: int, kind: type[Exception]) -> None:
    body = json.dumps({"error": {"code": code, "message": "The target language is not valid."}}).encode()
    error = WIRE.error(status, None, body)
    assert type(error) is kind
    assert (kind is UpstreamAuth) == ("not valid" not in error.message)


def test_its_key() -> None:
    assert WIRE.credential("k") == ("ocp-apim-subscription-key", "k")
