"""What clients of translations send, and get."""

import json
from typing import Any

import pytest

from gateway.dialects.dialect import Setting
from gateway.dialects.translate import Translate
from inference.ir.errors import BadRequest, UpstreamGarbled
from inference.ir.translation import Formality, TextFormat, Translated, TranslationResult
from inference.ir.usage import Usage

DIALECT = Translate()
SETTING = Setting(id="req-1", model="asked", created=0)
BODY: dict[str, Any] = {"model": "m", "input": ["Grüße 🎉", "", "b"], "target_language": "pt-BR"}


def written(**change: Any) -> bytes:
    return json.dumps({**BODY, **change}).encode()


def test_what_is_counted_are_code_points() -> None:
    request = DIALECT.decode(written(aspendos={"tags": {"a": "b"}}))
    assert (request.characters, request.stream, request.hints) == (8, False, True)
    assert request.tags == {"a": "b"}
    assert json.loads(request.prompt) == BODY["input"]
    assert DIALECT.decode(written(input="abc")).characters == 3


def test_what_is_asked() -> None:
    asked = DIALECT.parse(written(context="x", aspendos={}))
    assert (asked.texts, asked.target, asked.source) == (("Grüße 🎉", "", "b"), "pt-BR", None)
    assert (asked.formality, asked.format, asked.glossary) == (Formality.DEFAULT, TextFormat.TEXT, None)
    assert list(asked.rest) == ["context"]
    asked = DIALECT.parse(
        written(input="a", source_language="en", formality="less", glossary="g", format="html")
    )
    assert (asked.texts, asked.source, asked.glossary) == (("a",), "en", "g")
    assert (asked.formality, asked.format) == (Formality.LESS, TextFormat.HTML)


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"input": []}, "input"),
        ({"input": ["", ""]}, "input"),
        ({"input": ""}, "input"),
        ({"input": ["a", 3]}, "input[1]"),
        ({"input": 3}, "input"),
        ({"target_language": "de&to=fr"}, "target_language"),
        ({"target_language": ""}, "target_language"),
        ({"target_language": None}, "target_language"),
        ({"source_language": "e"}, "source_language"),
        ({"formality": "polite"}, "formality"),
        ({"format": "markdown"}, "format"),
        ({"glossary": 3}, "glossary"),
    ],
)
def test_mistakes(change: dict[str, Any], param: str) -> None:
    with pytest.raises(BadRequest) as refused:
        DIALECT.decode(written(**change))
    assert refused.value.param == param


def test_bodies_that_are_none() -> None:
    for body in (b"", b"[]", b"{", b'{"model": "m", "input": "\xff"}'):
        with pytest.raises(BadRequest):
            DIALECT.decode(body)


def test_the_answer() -> None:
    asked = DIALECT.parse(written(input=["a", "b"]))
    texts = (Translated(text="A", detected="en"), Translated(text="B"))
    rendered = DIALECT.answer(TranslationResult(texts=texts, usage=Usage(characters=2)), asked, SETTING)
    assert json.loads(rendered.body) == {
        "object": "list",
        "model": "asked",
        "data": [
            {"index": 0, "text": "A", "detected_source_language": "en"},
            {"index": 1, "text": "B"},
        ],
        "usage": {"characters": 2},
    }
    with pytest.raises(UpstreamGarbled):
        DIALECT.answer(TranslationResult(texts=texts[:1]), asked, SETTING)
