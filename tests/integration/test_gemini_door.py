"""Gemini's door in full: keys in the query, models with a slash, streams as one array, what cannot be carried."""

import json
from typing import Any

import httpx
import pytest

from tests.gemini_peer import Script, answer, event, model_at, streamed, whole
from tests.harness import GatewayProcess, UpstreamThread, VirtualKey
from tests.scripted_peer import Peer

ASKED: dict[str, Any] = {"contents": [{"role": "user", "parts": [{"text": "Say a few words. é🎈"}]}]}
WORDS = " word0 word1 word2 word3 word4"


BAD: list[tuple[dict[str, Any], str]] = [
    ({}, "contents"),
    ({"contents": []}, "contents"),
    ({"contents": [{"role": "robot", "parts": []}]}, "contents[0].role"),
    ({"contents": [{"parts": [{"text": 7}]}]}, "contents[0].parts[0]"),
    ({**ASKED, "generationConfig": {"temperature": "hot"}}, "generationConfig.temperature"),
    ({**ASKED, "tools": [{"functionDeclarations": [{}]}]}, "tools[0].functionDeclarations[0].name"),
    (
        {"contents": [{"parts": [{"functionResponse": {"name": "f", "response": {}}}]}]},
        "contents[0].parts[0].functionResponse",
    ),
    (
        {**ASKED, "toolConfig": {"functionCallingConfig": {"mode": "SOMETIMES"}}},
        "toolConfig.functionCallingConfig.mode",
    ),
]


def text_of(answers: list[dict[str, Any]]) -> str:
    return "".join(
        part.get("text", "")
        for each in answers
        for candidate in each.get("candidates", ())
        for part in candidate["content"].get("parts", ())
    )


def at(gateway: GatewayProcess, model: str, verb: str = "generateContent") -> str:
    return f"{gateway.url}/v1beta/models/{model}:{verb}"


async def test_the_key_may_stand_in_the_query_and_is_not_passed_on_or_logged(
    gateway: GatewayProcess, key: VirtualKey
) -> None:
    script = Script([whole(answer([{"text": "Hello"}]))])
    async with Peer(script) as peer, httpx.AsyncClient() as http:
        said = await http.post(
            at(gateway, model_at(gateway, peer.port)), params={"key": key.text}, json=ASKED
        )
    assert said.status_code == 200, said.text
    assert text_of([said.json()]) == "Hello"
    assert key.text not in script.asked[0].raw.decode()
    gateway.record(key)
    assert key.text not in gateway.output()
    refused = httpx.post(at(gateway, "patched"), params={"key": "ask-no-key"}, json=ASKED)
    assert refused.status_code == 401
    assert refused.json()["error"]["status"] == "UNAUTHENTICATED"


@pytest.mark.parametrize("name", ["org%2Fmodel:8b", "org/model:8b"])
def test_a_models_name_may_hold_slashes_and_colons(
    gateway: GatewayProcess, upstream: UpstreamThread, key: VirtualKey, name: str
) -> None:
    gateway.configure(
        models={
            "org/model:8b": {
                "kind": "chat",
                "free": True,
                "targets": [{"provider": "fake", "model": "events-8"}],
            }
        }
    )
    said = httpx.post(at(gateway, name), headers={"x-goog-api-key": key.text}, json=ASKED)
    assert said.status_code == 200, said.text
    assert text_of([said.json()]) == WORDS
    assert upstream.body()["model"] == "events-8"
    assert said.headers["x-aspendos-model"] == "org/model:8b"


@pytest.mark.parametrize("query", ["", "?alt=json"])
async def test_a_stream_without_alt_sse_is_one_array(
    gateway: GatewayProcess, key: VirtualKey, query: str
) -> None:
    """Passed on and translated alike; no comment in it, for it has to be JSON to the end."""
    script = Script([streamed(event([{"text": "Hello "}]), event([{"text": "é🎈"}], "STOP"))])
    async with Peer(script) as peer, httpx.AsyncClient() as http:
        for model, words in ((model_at(gateway, peer.port), "Hello é🎈"), ("events-8", WORDS)):
            url = at(gateway, model, f"streamGenerateContent{query}")
            said = await http.post(url, headers=key.bearer, json=ASKED)
            assert said.headers["content-type"] == "application/json; charset=utf-8"
            answers = said.json()
            assert text_of(answers) == words
            assert answers[-1]["candidates"][0]["finishReason"] == "STOP"
            assert "usageMetadata" in answers[-1]


async def test_a_broken_array_is_still_json(gateway: GatewayProcess, key: VirtualKey) -> None:
    script = Script([streamed(event([{"text": "Hello "}]))])
    async with Peer(script) as peer, httpx.AsyncClient() as http:
        url = at(gateway, model_at(gateway, peer.port), "streamGenerateContent")
        said = await http.post(url, headers=key.bearer, json=ASKED)
    first, last = said.json()
    assert text_of([first]) == "Hello "
    assert last["error"]["code"] == 502
    assert gateway.record(key).status == 502


def test_events_carry_no_comments(gateway: GatewayProcess, key: VirtualKey) -> None:
    url = at(gateway, "events-8", "streamGenerateContent?alt=sse")
    said = httpx.post(url, headers=key.bearer, json=ASKED)
    assert said.headers["content-type"].startswith("text/event-stream")
    lines = [line for line in said.content.split(b"\r\n") if line]
    assert all(line.startswith(b"data: {") for line in lines)
    assert text_of([json.loads(line[6:]) for line in lines]) == WORDS


def test_what_cannot_be_carried_is_named_or_refused(gateway: GatewayProcess, key: VirtualKey) -> None:
    body: dict[str, Any] = {
        **ASKED,
        "safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}],
        "tools": [{"googleSearch": {}}],
    }
    said = httpx.post(at(gateway, "patched"), headers=key.bearer, json=body)
    assert said.status_code == 200, said.text
    dropped = said.headers["x-aspendos-dropped"].split(", ")
    assert "safetySettings" in dropped
    assert any(name.startswith("tools") for name in dropped)
    strict = httpx.post(at(gateway, "patched"), headers={**key.bearer, "x-aspendos-strict": "1"}, json=body)
    assert strict.status_code == 400
    error = strict.json()["error"]
    assert (error["code"], error["status"]) == (400, "INVALID_ARGUMENT")
    assert error["details"][0]["reason"] == "not_translatable"


@pytest.mark.parametrize(("body", "field"), BAD)
def test_a_bad_request_names_its_field(
    gateway: GatewayProcess, key: VirtualKey, body: dict[str, Any], field: str
) -> None:
    said = httpx.post(at(gateway, "patched"), headers=key.bearer, json=body)
    assert said.status_code == 400, said.text
    violations = [
        violation["field"]
        for detail in said.json()["error"]["details"]
        for violation in detail.get("fieldViolations", ())
    ]
    assert violations == [field]


def test_other_methods_and_kinds_are_refused_in_googles_words(
    gateway: GatewayProcess, key: VirtualKey
) -> None:
    got = httpx.get(at(gateway, "patched"), headers=key.bearer)
    assert (got.status_code, got.json()["error"]["status"]) == (405, "UNIMPLEMENTED")
    text = httpx.post(
        at(gateway, "patched"), headers={**key.bearer, "content-type": "text/plain"}, content="x"
    )
    assert (text.status_code, text.json()["error"]["code"]) == (415, 415)
    nothing = httpx.post(at(gateway, "patched", "predict"), headers=key.bearer, json={})
    assert nothing.status_code == 405


def test_the_models_a_key_may_use(gateway: GatewayProcess, key: VirtualKey) -> None:
    listed = httpx.get(f"{gateway.url}/v1beta/models", params={"key": key.text})
    assert listed.status_code == 200, listed.text
    names = [model["name"] for model in listed.json()["models"]]
    assert "models/patched" in names
    assert "models/switched-off" not in names
    one = httpx.get(f"{gateway.url}/v1beta/models/patched", headers={"x-goog-api-key": key.text})
    assert one.json()["supportedGenerationMethods"] == [
        "generateContent",
        "streamGenerateContent",
        "countTokens",
    ]
    assert httpx.get(f"{gateway.url}/v1beta/models").status_code == 401


async def test_an_openai_client_at_a_model_of_googles(gateway: GatewayProcess, key: VirtualKey) -> None:
    """The other way round: OpenAI's words in, Gemini's out, whole and streamed."""
    call = {"functionCall": {"name": "weather", "args": {"city": "Paris"}}, "thoughtSignature": "AAAA"}
    script = Script(
        [
            whole(answer([call])),
            streamed(event([{"text": "Sun"}]), event([{"text": "ny."}], "STOP")),
        ]
    )
    tool = {"name": "weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}
    async with Peer(script) as peer, httpx.AsyncClient(headers=key.bearer) as http:
        model = model_at(gateway, peer.port, capabilities=["tools"])
        url = f"{gateway.url}/v1/chat/completions"
        asked: dict[str, Any] = {
            "model": model,
            "messages": [{"role": "system", "content": "Brief."}, {"role": "user", "content": "Paris?"}],
            "tools": [{"type": "function", "function": tool}],
            "tool_choice": {"type": "function", "function": {"name": "weather"}},
        }
        first = (await http.post(url, json=asked)).json()
        made = first["choices"][0]["message"]["tool_calls"][0]
        assert made["function"] == {"name": "weather", "arguments": '{"city": "Paris"}'}
        assert first["choices"][0]["finish_reason"] == "tool_calls"
        assert first["usage"]["prompt_tokens"] == 12
        sent = script.body()
        assert sent["systemInstruction"]["parts"] == [{"text": "Brief."}]
        assert sent["toolConfig"]["functionCallingConfig"] == {
            "mode": "ANY",
            "allowedFunctionNames": ["weather"],
        }
        asked["messages"] += [
            {"role": "assistant", "tool_calls": [made]},
            {"role": "tool", "tool_call_id": made["id"], "content": "31 degrees"},
        ]
        stream = await http.post(url, json={**asked, "tool_choice": "auto", "stream": True})
    assert stream.content.rstrip().endswith(b"data: [DONE]")
    said = [json.loads(line[6:]) for line in stream.text.splitlines() if line.startswith("data: {")]
    assert (
        "".join(each["choices"][0]["delta"].get("content") or "" for each in said if each["choices"])
        == "Sunny."
    )
    turns = script.body()["contents"]
    assert [turn["role"] for turn in turns] == ["user", "model", "user"]
    assert turns[2]["parts"][0]["functionResponse"]["response"] == {"output": "31 degrees"}
    assert turns[2]["parts"][0]["functionResponse"]["name"] == "weather"
