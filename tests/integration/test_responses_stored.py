"""Stored responses in a running gateway: over restarts, over models, and where nothing is to be stored."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.harness import PRICE, GatewayProcess, UpstreamThread, VirtualKey, catalogue
from tests.responses_upstream import ResponsesUpstream

CREATE = "/v1/responses"


@pytest.fixture(scope="module")
def server() -> Iterator[ResponsesUpstream]:
    with ResponsesUpstream() as running:
        yield running


def configured(gateway: GatewayProcess, server: ResponsesUpstream) -> None:
    def provider(**more: Any) -> dict[str, Any]:
        return {"wire": "openai", "base_url": server.base_url, **more}

    def model(name: str) -> dict[str, Any]:
        return {"kind": "chat", "price": PRICE, "targets": [{"provider": name, "model": "gpt-5-test"}]}

    gateway.configure(
        providers={"chat-only": provider(), "both": provider(also=["responses"])},
        models={"through-chat": model("chat-only"), "passed-on": model("both")},
    )


@pytest.fixture
def ask(gateway: GatewayProcess, key: VirtualKey, server: ResponsesUpstream) -> Iterator[httpx.Client]:
    configured(gateway, server)
    with httpx.Client(base_url=gateway.url, headers=key.bearer, timeout=15) as client:
        yield client


def answered(reply: httpx.Response) -> dict[str, Any]:
    assert reply.status_code == 200, reply.text
    return reply.json()


def text_of(response: dict[str, Any]) -> str:
    return "".join(
        part["text"] for item in response["output"] if item["type"] == "message" for part in item["content"]
    )


def test_a_conversation_goes_from_model_to_model(ask: httpx.Client, server: ResponsesUpstream) -> None:
    first = answered(ask.post(CREATE, json={"model": "passed-on", "input": "one"}))
    second = answered(
        ask.post(CREATE, json={"model": "through-chat", "input": "two", "previous_response_id": first["id"]})
    )
    third = answered(
        ask.post(CREATE, json={"model": "passed-on", "input": "three", "previous_response_id": second["id"]})
    )
    assert text_of(third) == "You said: one | two | three"
    sealed = [item for item in server.body("/responses")["input"] if item["type"] == "reasoning"]
    assert [item["encrypted_content"] for item in sealed] == ["sealed-1"]


@pytest.mark.parametrize("header", ["x-api-key", "api-key"])
def test_its_owner_may_name_the_key_in_any_header(
    ask: httpx.Client, gateway: GatewayProcess, key: VirtualKey, header: str
) -> None:
    made = answered(ask.post(CREATE, json={"model": "through-chat", "input": "one"}))["id"]
    where = f"{gateway.url}{CREATE}/{made}"
    assert answered(gateway.http.get(where, headers={header: key.text}))["id"] == made
    assert gateway.http.get(where, headers={header: gateway.new_key().text}).status_code == 404


def test_what_a_translation_leaves_out_is_named_or_refused(ask: httpx.Client) -> None:
    body = {"model": "through-chat", "input": "hi", "truncation": "auto"}
    loose = ask.post(CREATE, json=body)
    assert loose.status_code == 200
    assert "truncation" in loose.headers["x-aspendos-dropped"]
    strict = ask.post(CREATE, json=body, headers={"x-aspendos-strict": "1"})
    assert strict.status_code == 400
    assert strict.json()["error"]["code"] == "not_translatable"
    plain = ask.post(CREATE, json={**body, "truncation": "disabled"}, headers={"x-aspendos-strict": "1"})
    assert plain.status_code == 200
    assert "x-aspendos-dropped" not in plain.headers


def test_what_came_before_counts(ask: httpx.Client, gateway: GatewayProcess, key: VirtualKey) -> None:
    """Admission looks at the whole conversation, not only at what the client sent now."""
    first = answered(ask.post(CREATE, json={"model": "through-chat", "input": "x " * 4000}))
    limits = {"team": key.team, "name": "limited", "limits": {"tokens": {"minute": 500}}}
    made = gateway.admin.post(f"{gateway.url}/admin/v1/keys", json=limits).json()
    limited = {"authorization": f"Bearer {made['key']}"}
    body = {"model": "through-chat", "input": "y", "max_output_tokens": 10}
    assert ask.post(CREATE, json=body, headers=limited).status_code == 200
    body["previous_response_id"] = first["id"]
    assert ask.post(CREATE, json=body).status_code == 200
    assert ask.post(CREATE, json=body, headers=limited).status_code == 429


@pytest.mark.parametrize("how", ["stop", "kill9"])
def test_it_is_there_after_a_restart(
    tmp_path: Path, upstream: UpstreamThread, server: ResponsesUpstream, how: str
) -> None:
    with GatewayProcess(tmp_path, catalogue(upstream.base_url)) as gateway:
        configured(gateway, server)
        key = gateway.new_key()
        body = {"model": "through-chat", "input": "remember"}
        made = answered(gateway.http.post(f"{gateway.base_url}/responses", json=body, headers=key.bearer))
        if how == "kill9":
            time.sleep(0.5)  # a crash may cost the last moments; this one was long written
        getattr(gateway, how)()
        gateway.start()
        where = f"{gateway.base_url}/responses/{made['id']}"
        assert answered(gateway.http.get(where, headers=key.bearer)) == made
        assert gateway.http.get(where).status_code == 401
        assert gateway.http.get(where, params={"stream": "true"}, headers=key.bearer).status_code == 400
        wrong = gateway.http.get(f"{where}/input_items", params={"after": "msg_no"}, headers=key.bearer)
        assert (wrong.status_code, wrong.json()["error"]["param"]) == (400, "after")
        assert "remember" not in gateway.output()


def test_nothing_is_stored_where_the_operator_wants_nothing_stored(
    tmp_path: Path, upstream: UpstreamThread, server: ResponsesUpstream
) -> None:
    environment = {"ASPENDOS_RESPONSES_DAYS": "0"}
    with GatewayProcess(tmp_path, catalogue(upstream.base_url), environment=environment) as gateway:
        configured(gateway, server)
        key = gateway.new_key()
        body = {"model": "through-chat", "input": "forget"}
        made = answered(gateway.http.post(f"{gateway.base_url}/responses", json=body, headers=key.bearer))
        assert made["store"] is False
        found = gateway.http.get(f"{gateway.base_url}/responses/{made['id']}", headers=key.bearer)
        assert found.status_code == 404
        body["previous_response_id"] = made["id"]
        refused = gateway.http.post(f"{gateway.base_url}/responses", json=body, headers=key.bearer)
        assert refused.json()["error"]["code"] == "previous_response_not_found"


def test_a_stream_that_is_hung_up_on_is_not_kept(ask: httpx.Client) -> None:
    body = {"model": "events-200+paced-20ms", "input": "go on", "stream": True}
    with ask.stream("POST", CREATE, json=body) as reply:
        first = next(line for line in reply.iter_lines() if line.startswith("data: "))
    name = json.loads(first[6:])["response"]["id"]
    assert ask.get(f"{CREATE}/{name}").status_code == 404
