"""What of a chat each target may have, where it goes on in its client's own bytes."""

import json

import pytest

from gateway.foreign_thoughts import fitting
from inference.deployment import Deployment
from inference.fleet.load import Load
from inference.ir.cards import Provider, Target
from inference.ir.errors import InvalidField

OPENAIS = {"type": "reasoning.encrypted", "data": "sealed", "format": "openai-responses-v1"}
BODY = json.dumps(
    {"messages": [{"role": "assistant", "content": "", "reasoning_details": [OPENAIS]}]}
).encode()
GONE = ("messages[0].reasoning_details[0]",)


def at(url: str, wire: str = "openai") -> Deployment:
    provider = Provider(name="theirs", wire=wire, base_urls=(url,))
    return Deployment(Target(provider=provider, model="m"), url, Load())


def test_each_target_that_is_tried_has_what_is_its_own() -> None:
    fit = fitting(BODY, strict=False)
    body, gone = fit(at("http://10.0.0.7", "vllm"))
    assert (json.loads(body)["messages"], gone) == ([{"role": "assistant", "content": ""}], GONE)
    assert fit(at("https://api.openai.com/v1")) == (BODY, ())
    assert fit(at("https://llm.example.com", "azure-openai")) == (BODY, ())
    assert fit(at("https://api.openai.com.example.com/v1"))[1] == GONE


def test_the_strict_are_told_what_would_be_left_out() -> None:
    fit = fitting(BODY, strict=True)
    assert fit(at("https://api.openai.com/v1")) == (BODY, ())
    with pytest.raises(InvalidField, match=r"`theirs` cannot be told") as refused:
        fit(at("https://api.groq.com/openai/v1"))
    assert (refused.value.code, refused.value.param) == ("not_translatable", GONE[0])
