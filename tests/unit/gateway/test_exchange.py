"""One question and its answer by way of another format: what is refused, what is counted, what comes back."""

import json

import pytest

from gateway.dialects.dialect import Setting
from gateway.dialects.embeddings import Embeddings
from gateway.dialects.translate import Translate
from gateway.exchange import ExchangeTranslation
from inference.deployment import Deployment
from inference.fleet.load import LoadTable
from inference.ir.cards import Kind, Model, Price, Provider, Target
from inference.ir.errors import InvalidField, UpstreamGarbled
from inference.ir.usage import Usage, UsageSource

CARD = Model(name="m", kind=Kind.EMBEDDING, price=Price(input=1, output=0, version="v"))
PROMPT = b'"hello, hello, hello"'


def deployment(wire: str) -> Deployment:
    url = "http://127.0.0.1:9/v1"
    provider = Provider(name=wire, wire=wire, base_urls=(url,))
    return Deployment(Target(provider=provider, model="up"), url, LoadTable().of(url))


def translation(*, strict: bool = False, **fields: object) -> ExchangeTranslation:
    body = json.dumps({"model": "m", "input": "hello", **fields}).encode()
    setting = Setting(id="req-1", model="m", created=0)
    asked = Embeddings().parse(body)
    made = ExchangeTranslation(Embeddings(), Kind.EMBEDDING, asked, setting, prompt=PROMPT, strict=strict)
    made.admitted(CARD, None)
    return made


def test_it_is_written_for_each_target() -> None:
    made = translation()
    assert made.outgoing(deployment("cohere")).path == "/v2/embed"
    assert made.outgoing(deployment("voyage")).path == "/embeddings"


def test_losses_are_named_or_refused() -> None:
    assert translation(user="u").outgoing(deployment("voyage")).dropped == ("user",)
    with pytest.raises(InvalidField) as refused:
        translation(user="u", strict=True).outgoing(deployment("voyage"))
    assert (refused.value.param, refused.value.code) == ("user", "not_translatable")


def test_a_target_that_does_not_serve_this_kind() -> None:
    with pytest.raises(InvalidField) as refused:
        translation().outgoing(deployment("anthropic"))
    assert refused.value.code == "route_not_served"


def test_what_the_target_does_not_count_is_counted_and_told() -> None:
    body = json.dumps({"embeddings": {"float": [[0.5]]}}).encode()
    rendered, completed = translation().whole(deployment("cohere"), body, "application/json")
    assert completed.usage.source is UsageSource.COUNTED
    assert completed.usage.input_tokens > 0
    assert json.loads(rendered.body)["usage"]["prompt_tokens"] == completed.usage.input_tokens
    assert rendered.content_type == "application/json"


def test_an_answer_for_another_number_of_inputs_is_none() -> None:
    with pytest.raises(UpstreamGarbled):
        translation().whole(deployment("cohere"), b'{"embeddings": {"float": []}}', "")


def test_what_is_sold_by_the_character_is_counted_so_where_the_target_does_not_count() -> None:
    body = b'{"model": "m", "input": "abc", "target_language": "de"}'
    setting = Setting(id="req-1", model="m", created=0)
    made = ExchangeTranslation(
        Translate(),
        Kind.TRANSLATION,
        Translate().parse(body),
        setting,
        prompt=b'"abc"',
        strict=False,
        characters=3,
    )
    made.admitted(CARD, None)
    uncounted = b'{"translations": [{"text": "x"}]}'
    rendered, completed = made.whole(deployment("deepl"), uncounted, "")
    assert completed.usage == Usage(characters=3, source=UsageSource.COUNTED)
    assert json.loads(rendered.body)["usage"] == {"characters": 3}
    counted = b'{"translations": [{"text": "x", "billed_characters": 2}]}'
    _, completed = made.whole(deployment("deepl"), counted, "")
    assert completed.usage == Usage(characters=2, source=UsageSource.REPORTED)
