"""A question for tokens on its way through a target that speaks another format."""

import json

import pytest

from gateway.counting import CountTranslation, unaskable
from gateway.dialects.dialect import Setting
from gateway.http.count_tokens import CountTokens
from inference.codecs.causes import Cause
from inference.deployment import Deployment
from inference.fleet.load import Load
from inference.ir.cards import Kind, Model, Price, Provider, Target
from inference.ir.errors import InvalidField, UpstreamFailed, UpstreamRefused
from inference.ir.usage import UsageSource

CARD = Model(name="m", kind=Kind.CHAT, price=Price(input=1, output=1, version="v"))
SETTING = Setting(id="req-1", model="m", created=0)
ASKED = {"model": "m", "messages": [{"role": "user", "content": "Hi"}], "top_k": 3}


def deployment(wire: str, model: str = "there", *also: str) -> Deployment:
    provider = Provider(name="p", wire=wire, base_urls=("http://127.0.0.1:1",), also=also)
    return Deployment(Target(provider=provider, model=model), "http://127.0.0.1:1", Load())


def counting(*, strict: bool = False) -> CountTranslation:
    made = CountTranslation(CountTokens(), json.dumps(ASKED).encode(), SETTING, strict=strict)
    made.admitted(CARD, 1)
    return made


@pytest.mark.parametrize(
    ("asked", "counts"),
    [
        (deployment("openai"), False),
        (deployment("openai", "there", "responses"), True),
        (deployment("vllm", "there", "responses"), False),
        (deployment("openai-responses"), True),
        (deployment("anthropic"), True),
        (deployment("gemini"), True),
        (deployment("vertex", "claude-x"), True),
        (deployment("bedrock", "us.anthropic.claude-sonnet-4-6"), True),
        (deployment("bedrock", "us.amazon.nova-lite-v1:0"), False),
        (deployment("mistral"), False),
        (deployment("voyage"), False),
    ],
)
def test_who_can_be_asked(asked: Deployment, counts: bool) -> None:
    assert (asked.counter is not None) is counts


def test_a_question_and_its_answer() -> None:
    made, asked = counting(), deployment("openai-responses")
    out = made.outgoing(asked)
    assert out.path == "/responses/input_tokens"
    assert json.loads(out.body)["model"] == "there"
    assert out.dropped == ("top_k",)
    rendered, completed = made.whole(asked, b'{"object":"response.input_tokens","input_tokens":9}')
    assert rendered.body == b'{"input_tokens":9}'
    assert (completed.usage.input_tokens, completed.usage.source) == (0, UsageSource.REPORTED)
    assert json.loads(made.estimated)["input_tokens"] > 0


def test_a_client_that_wants_nothing_left_out() -> None:
    with pytest.raises(InvalidField, match="top_k"):
        counting(strict=True).outgoing(deployment("openai-responses"))


def test_a_call_that_is_not_there() -> None:
    missing, refused = UpstreamRefused("Not found."), UpstreamFailed("No.")
    missing.answered, refused.answered = 404, 500
    assert unaskable(missing)
    no_model = UpstreamFailed("No such model.", code=Cause.MODEL)
    no_model.answered = 404
    assert not unaskable(no_model)
    assert not unaskable(refused)
    assert not unaskable(InvalidField("x", param="y"))
