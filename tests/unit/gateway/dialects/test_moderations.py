"""What clients of moderations send, and get of a target that speaks another format."""

import json

import pytest

from gateway.dialects.dialect import Setting
from gateway.dialects.moderations import DEFAULT_MODEL, Moderations
from inference.ir.content import Image, Text
from inference.ir.errors import InvalidField
from inference.ir.moderation import Judgement, ModerationResult

DIALECT = Moderations()
SETTING = Setting(id="req-1", model="asked", created=0)


def test_who_names_no_model_gets_openais() -> None:
    assert DIALECT.decode(b'{"input": "a"}').model == DEFAULT_MODEL
    assert DIALECT.parse(b'{"input": "a", "model": null}').model == DEFAULT_MODEL
    assert DIALECT.decode(b'{"input": "a", "model": "m"}').prompt == b'"a"'


def test_inputs() -> None:
    assert DIALECT.parse(b'{"input": ["a", "b"], "odd": 1}').inputs == ("a", "b")
    picture = {"type": "image_url", "image_url": {"url": "https://e.org/a"}}
    (together,) = DIALECT.parse(
        json.dumps({"input": [{"type": "text", "text": "a"}, picture]}).encode()
    ).inputs
    assert [type(part) for part in together] == [Text, Image]


@pytest.mark.parametrize(
    ("input_", "param"),
    [
        ("[]", "input"),
        ('["a", {"type": "text", "text": "b"}]', "input[0]"),
        ("[1]", "input[0]"),
        ('[{"type":"x"}]', "input[0].type"),
    ],
)
def test_inputs_that_are_none(input_: str, param: str) -> None:
    with pytest.raises(InvalidField) as refused:
        DIALECT.parse(f'{{"input": {input_}}}'.encode())
    assert refused.value.param == param


def test_the_answer_is_openais() -> None:
    asked = DIALECT.parse(b'{"input": "a"}')
    judged = Judgement(flagged=True, categories={"a": True}, scores={"a": 0.9}, applied={"a": ("text",)})
    answer = json.loads(DIALECT.answer(ModerationResult(results=(judged,)), asked, SETTING).body)
    assert answer == {
        "id": "req-1",
        "model": "asked",
        "results": [
            {
                "flagged": True,
                "categories": {"a": True},
                "category_scores": {"a": 0.9},
                "category_applied_input_types": {"a": ["text"]},
            }
        ],
    }
