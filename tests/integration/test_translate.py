"""Translations over real sockets, by providers emulated strictly: what is sent, answered, refused and billed."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.harness import UPSTREAM_KEY, GatewayProcess, VirtualKey
from tests.translation_world import TranslationWorld, translation_world

PROVIDERS = ("deepl", "google", "azure")
NANO_A_CHARACTER = {"deepl": 25_000, "google": 20_000, "azure": 10_000}


@pytest.fixture(scope="module")
def world(gateway: GatewayProcess) -> Iterator[TranslationWorld]:
    with translation_world(gateway) as opened:
        yield opened


@pytest.fixture
def ask(gateway: GatewayProcess, key: VirtualKey, world: TranslationWorld) -> Any:
    def post(provider: str, input_: Any = "Hello", **fields: Any) -> httpx.Response:
        strict = fields.pop("strict", False)
        body = {"model": world.models[provider], "input": input_, "target_language": "de", **fields}
        headers = {**key.bearer, **({"x-aspendos-strict": "1"} if strict else {})}
        return gateway.http.post(f"{gateway.url}/v1/translate", json=body, headers=headers)

    return post


def refusal(answer: httpx.Response) -> tuple[int, str | None, str]:
    error = answer.json()["error"]
    return answer.status_code, error["param"], error["code"]


@pytest.mark.parametrize("provider", PROVIDERS)
def test_texts(world: TranslationWorld, ask: Any, key: VirtualKey, provider: str) -> None:
    answer = ask(provider, ["Hello", "It's <b> & 🎉"])
    assert answer.status_code == 200, answer.text
    assert answer.json() == {
        "object": "list",
        "model": world.models[provider],
        "data": [
            {"index": 0, "text": "HELLO", "detected_source_language": "en"},
            {"index": 1, "text": "IT'S <B> & 🎉", "detected_source_language": "en"},
        ],
        "usage": {"characters": 17},
    }
    assert "x-aspendos-dropped" not in answer.headers
    record = world.gateway.record(key)
    assert (record.route, record.characters, record.input_tokens) == ("translate", 17, 0)
    assert record.usage_source == ("reported" if provider == "deepl" else "counted")
    assert record.cost_nano == 17 * NANO_A_CHARACTER[provider]


@pytest.mark.parametrize(("provider", "charged"), [("deepl", 5), ("google", 12), ("azure", 12)])
def test_tags_are_kept_and_charged_as_the_provider_charges_them(
    ask: Any, key: VirtualKey, world: TranslationWorld, provider: str, charged: int
) -> None:
    answer = ask(provider, "<i>Hello</i>", format="html", source_language="en")
    assert answer.json()["data"][0]["text"] == "<i>HELLO</i>"
    assert answer.json()["usage"] == {"characters": charged}
    assert world.gateway.record(key).characters == charged


@pytest.mark.parametrize("provider", PROVIDERS)
def test_chinese_by_its_script(ask: Any, provider: str) -> None:
    """One tag, three spellings: the providers are strict about their own."""
    assert ask(provider, target_language="zh-Hant", source_language="en").status_code == 200


def test_what_deepl_has_words_for(world: TranslationWorld, ask: Any) -> None:
    fields = {
        "formality": "prefer_more",
        "glossary": "g-1",
        "source_language": "en-US",
        "context": "A letter.",
    }
    answer = ask("deepl", strict=True, **fields)
    assert answer.status_code == 200, answer.text
    assert world.last().body == {
        "text": ["Hello"],
        "target_lang": "DE",
        "source_lang": "EN",
        "show_billed_characters": True,
        "formality": "prefer_more",
        "glossary_id": "g-1",
        "context": "A letter.",
    }


@pytest.mark.parametrize("provider", ["google", "azure"])
def test_what_the_others_have_none_for_is_named_or_refused(
    world: TranslationWorld, ask: Any, provider: str
) -> None:
    fields = {"formality": "more", "glossary": "g-1", "context": "x"}
    answer = ask(provider, **fields)
    assert answer.headers["x-aspendos-dropped"] == "context, formality, glossary"
    before = len(world.sent)
    assert refusal(ask(provider, strict=True, **fields)) == (400, "context", "not_translatable")
    assert len(world.sent) == before


@pytest.mark.parametrize(
    ("provider", "status", "body", "ours"),
    [
        ("deepl", 403, {"message": "Authorization failed."}, (502, None, "upstream_auth")),
        ("deepl", 456, {"message": "Quota Exceeded"}, (502, None, "upstream_auth")),
        ("deepl", 429, {"message": "Too many requests"}, (429, None, "upstream_rate_limited")),
        (
            "google",
            403,
            {"error": {"code": 403, "message": "m", "errors": [{"reason": "userRateLimitExceeded"}]}},
            (429, None, "upstream_rate_limited"),
        ),
        ("azure", 403, {"error": {"code": 403001, "message": "m"}}, (502, None, "upstream_auth")),
        ("azure", 429, {"error": {"code": 429001, "message": "m"}}, (429, None, "upstream_rate_limited")),
        ("azure", 200, [], (502, None, "upstream_garbled")),
        ("google", 200, b"<html>", (502, None, "upstream_garbled")),
    ],
)
def test_failures(
    world: TranslationWorld,
    ask: Any,
    key: VirtualKey,
    provider: str,
    status: int,
    body: object,
    ours: tuple[int, str | None, str],
) -> None:
    world.broken[provider] = (status, body)
    try:
        answer = ask(provider)
    finally:
        world.broken.clear()
    assert refusal(answer) == ours
    assert UPSTREAM_KEY not in answer.text
    assert world.gateway.record(key).cost_nano == 0


@pytest.mark.parametrize(
    ("provider", "fields", "said"),
    [
        ("deepl", {"target_language": "tlh"}, "target_lang"),
        ("deepl", {"glossary": "g-1"}, "requires the source_lang"),
        ("deepl", {"formality": "more", "target_language": "en-US"}, "formality"),
        ("google", {"target_language": "tlh"}, "Invalid Value"),
        ("azure", {"target_language": "tlh"}, "target language"),
    ],
)
def test_the_providers_own_refusals_reach_the_client(
    ask: Any, provider: str, fields: dict[str, Any], said: str
) -> None:
    answer = ask(provider, **fields)
    assert answer.status_code == 400
    assert said in answer.json()["error"]["message"]


def test_mistakes_go_nowhere(
    world: TranslationWorld, ask: Any, gateway: GatewayProcess, key: VirtualKey
) -> None:
    before = len(world.sent)
    assert refusal(ask("deepl", [])) == (400, "input", "invalid_value")
    assert refusal(ask("deepl", ["a", 3])) == (400, "input[1]", "invalid_value")
    assert refusal(ask("azure", target_language="de&to=fr")) == (400, "target_language", "invalid_value")
    body = {"model": world.chat, "input": "a", "target_language": "de"}
    answer = gateway.http.post(f"{gateway.url}/v1/translate", json=body, headers=key.bearer)
    assert refusal(answer) == (400, "model", "wrong_model_kind")
    assert len(world.sent) == before
