"""The official OpenAI SDK for Python, sync and async, pointed at the gateway: it must not notice."""

import asyncio
import base64
import json
import struct
from collections.abc import AsyncGenerator, Iterator

import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from openai.types.chat import ChatCompletionMessageParam, ChatCompletionToolParam

from tests.harness import GatewayProcess, UpstreamThread, VirtualKey
from tests.scripted_peer import Peer, Talk

TEXT = " word0 word1 word2 word3 word4"
MESSAGES: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Say a few words. é🎈"}]
TOOLS: list[ChatCompletionToolParam] = [
    {
        "type": "function",
        "function": {"name": "weather", "parameters": {"type": "object", "properties": {"city": {}}}},
    }
]


@pytest.fixture
def client(gateway: GatewayProcess, key: VirtualKey) -> Iterator[OpenAI]:
    with OpenAI(base_url=gateway.base_url, api_key=key.text, max_retries=0, timeout=15) as opened:
        yield opened


@pytest.fixture
async def async_client(gateway: GatewayProcess, key: VirtualKey) -> AsyncGenerator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=gateway.base_url, api_key=key.text, max_retries=0, timeout=15) as opened:
        yield opened


# answers


def test_chat(client: OpenAI, gateway: GatewayProcess, key: VirtualKey) -> None:
    answer = client.chat.completions.create(model="patched", messages=MESSAGES)
    assert answer.choices[0].message.content == TEXT
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (12, 5)
    assert answer.model_extra == {"x_upstream": {"kept": True}}
    assert gateway.record(key).finish_reason == "stop"


async def test_chat_async(async_client: AsyncOpenAI) -> None:
    answers = await asyncio.gather(
        *(async_client.chat.completions.create(model="events-8", messages=MESSAGES) for _ in range(8))
    )
    assert {answer.choices[0].message.content for answer in answers} == {TEXT}


@pytest.mark.parametrize("model", ["events-8", "vllm-8"])
def test_a_stream_has_usage_only_where_it_was_asked_for(client: OpenAI, model: str) -> None:
    plain = list(client.chat.completions.create(model=model, messages=MESSAGES, stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in plain) == TEXT
    assert all(chunk.usage is None for chunk in plain)
    asked = list(
        client.chat.completions.create(
            model=model, messages=MESSAGES, stream=True, stream_options={"include_usage": True}
        )
    )
    assert len(asked) == len(plain) + 1
    assert asked[-1].choices == []
    assert asked[-1].usage is not None
    assert asked[-1].usage.total_tokens == 17


async def test_a_stream_async(async_client: AsyncOpenAI) -> None:
    stream = await async_client.chat.completions.create(model="events-8", messages=MESSAGES, stream=True)
    assert "".join([chunk.choices[0].delta.content or "" async for chunk in stream]) == TEXT


async def test_the_sdks_own_stream_helper(async_client: AsyncOpenAI) -> None:
    async with async_client.chat.completions.stream(
        model="events-8", messages=MESSAGES, stream_options={"include_usage": True}
    ) as stream:
        completion = await stream.get_final_completion()
    assert completion.choices[0].message.content == TEXT
    assert completion.usage is not None
    assert completion.usage.completion_tokens == 5


def test_completions(client: OpenAI) -> None:
    answer = client.completions.create(model="patched", prompt="Once")
    assert answer.choices[0].text == TEXT
    stream = client.completions.create(model="patched", prompt=["Once"], stream=True)
    assert "".join(chunk.choices[0].text for chunk in stream) == TEXT


def test_embeddings(
    client: OpenAI, upstream: UpstreamThread, gateway: GatewayProcess, key: VirtualKey
) -> None:
    """The SDK asks for base64 where it is not told otherwise, and decodes it itself."""
    usual = client.embeddings.create(model="embed", input=["a", "b"])
    assert upstream.body()["encoding_format"] == "base64"
    floats = client.embeddings.create(model="embed", input="a", encoding_format="float")
    assert upstream.body()["encoding_format"] == "float"
    assert len(usual.data) == 2
    assert usual.data[1].embedding == pytest.approx(floats.data[0].embedding)
    raw = client.embeddings.with_raw_response.create(model="embed", input="a", encoding_format="base64")
    packed = json.loads(raw.text)["data"][0]["embedding"]
    unpacked = struct.unpack("<16f", base64.b64decode(packed))
    assert list(unpacked) == pytest.approx(floats.data[0].embedding)
    assert sorted(record.cost_nano for record in gateway.usage(key=key.id)) == [240, 240, 480]


def test_models(client: OpenAI) -> None:
    models = {model.id: model for model in client.models.list()}
    assert {"patched", "patched-too", "embed"} <= models.keys()
    one = client.models.retrieve("patched-too")
    assert one.id == "patched-too"
    assert one.model_extra is not None
    assert one.model_extra["alias_of"] == "patched"


# what reaches the upstream


def test_tools_and_unknown_fields_reach_the_upstream_as_they_were(
    client: OpenAI, upstream: UpstreamThread
) -> None:
    extra = {"guided_choice": ["a", "b"], "x_nested": {"a": [1, 2.50, None, "é"]}, "big": 2**63}
    client.chat.completions.create(
        model="patched",
        messages=MESSAGES,
        tools=TOOLS,
        tool_choice="auto",
        temperature=0.1,
        seed=7,
        extra_body={**extra, "aspendos": {"tags": ["x"]}},
    )
    assert upstream.body() == {
        "model": "events-8",
        "messages": MESSAGES,
        "tools": TOOLS,
        "tool_choice": "auto",
        "temperature": 0.1,
        "seed": 7,
        **extra,
    }


async def test_every_byte_but_the_model_is_the_clients_own(
    gateway: GatewayProcess, upstream: UpstreamThread, key: VirtualKey
) -> None:
    fields = b'"messages" : [ {"role":"user","content":"\\u00e9 \xc3\xa9 \\/ 1e3"} ], "x": 1.500, "y":{"b":1,"a":[ ]}'
    headers = {**key.bearer, "content-type": "application/json"}
    same = b'{ "model": "events-8",' + fields + b" }\n"
    gateway.http.post(f"{gateway.base_url}/chat/completions", content=same, headers=headers)
    assert upstream.last().body == same
    gateway.http.post(
        f"{gateway.base_url}/chat/completions",
        content=b'{"model":"patched",' + fields + b"}",
        headers=headers,
    )
    received = upstream.last().body
    for piece in (b'[ {"role":"user","content":"\\u00e9 \xc3\xa9 \\/ 1e3"} ]', b"1.500", b'{"b":1,"a":[ ]}'):
        assert piece in received
    assert json.loads(received)["model"] == "events-8"


def test_the_upstream_gets_the_operators_key_and_nothing_of_the_clients(
    client: OpenAI, upstream: UpstreamThread, key: VirtualKey
) -> None:
    client.chat.completions.create(
        model="events-8", messages=MESSAGES, extra_headers={"x-secret": "client-canary", "cookie": "a=b"}
    )
    sent = repr(upstream.last().headers)
    assert key.text not in sent
    assert "client-canary" not in sent
    assert "cookie" not in sent


# headers


def test_headers_tell_what_happened(client: OpenAI, gateway: GatewayProcess, key: VirtualKey) -> None:
    raw = client.chat.completions.with_raw_response.create(model="patched-too", messages=MESSAGES)
    headers = raw.headers
    record = gateway.record(key)
    assert headers["x-request-id"] == record.id
    assert headers["x-aspendos-model"] == "patched"
    assert headers["x-aspendos-provider"] == "fake"
    assert headers["x-aspendos-attempts"] == "1"
    assert headers["x-aspendos-cost"] == record.cost_usd == "0.0000135"
    assert 0 < int(headers["x-aspendos-overhead-us"]) < 1_000_000
    completion = raw.parse()
    assert completion.usage is not None


def test_headers_of_a_stream_come_before_its_end(client: OpenAI) -> None:
    with client.chat.completions.with_streaming_response.create(
        model="events-8", messages=MESSAGES, stream=True
    ) as raw:
        assert raw.headers["x-aspendos-model"] == "events-8"
        assert "x-aspendos-cost" not in raw.headers
        lines = list(raw.iter_lines())
    assert any(line.startswith(": x-aspendos-cost: 0.0000135 ") for line in lines)


# failures


@pytest.mark.parametrize(
    ("model", "kind", "status", "code"),
    [
        ("nobody", openai.NotFoundError, 404, "model_not_found"),
        ("embed", openai.BadRequestError, 400, "wrong_model_kind"),
        ("status-400", openai.BadRequestError, 400, "upstream_refused"),
        ("status-401", openai.InternalServerError, 502, "upstream_auth"),
        ("status-404", openai.NotFoundError, 404, "not_found"),
        ("status-413", openai.APIStatusError, 413, "request_too_large"),
        ("status-422", openai.UnprocessableEntityError, 422, "upstream_refused"),
        ("status-429", openai.RateLimitError, 429, "upstream_rate_limited"),
        ("status-500", openai.InternalServerError, 502, "upstream_failed"),
        ("switched-off", openai.InternalServerError, 503, "model_off"),
        ("slow-head-1.5s", openai.InternalServerError, 504, "upstream_timeout_first_byte"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_errors_are_the_sdks_own(
    client: OpenAI,
    gateway: GatewayProcess,
    key: VirtualKey,
    model: str,
    kind: type[openai.APIStatusError],
    status: int,
    code: str,
    stream: bool,
) -> None:
    with pytest.raises(openai.APIStatusError) as caught:
        client.chat.completions.create(model=model, messages=MESSAGES, stream=stream)
    error = caught.value
    assert type(error) is kind
    assert (error.status_code, error.code) == (status, code)
    assert error.request_id == gateway.record(key).id


def test_a_wrong_key_and_a_model_that_is_not_allowed(gateway: GatewayProcess) -> None:
    with (
        OpenAI(base_url=gateway.base_url, api_key="sk-wrong", max_retries=0) as client,
        pytest.raises(openai.AuthenticationError, match="ask-<id>-<secret>"),
    ):
        client.models.list()
    key = gateway.new_key(models=["free"])
    with (
        OpenAI(base_url=gateway.base_url, api_key=key.text, max_retries=0) as client,
        pytest.raises(openai.PermissionDeniedError) as caught,
    ):
        client.chat.completions.create(model="events-8", messages=MESSAGES)
    assert caught.value.code == "model_not_allowed"


@pytest.mark.parametrize(
    ("model", "code"),
    [
        ("cut-after-3", "upstream_garbled"),
        ("stall-after-3", "upstream_timeout_idle"),
        ("error-after-3", "500"),
    ],
)
def test_a_stream_that_breaks_raises_and_does_not_just_end(client: OpenAI, model: str, code: str) -> None:
    got: list[str] = []
    stream = client.chat.completions.create(model=model, messages=MESSAGES, stream=True)
    with pytest.raises(openai.APIError) as caught:
        got.extend(chunk.choices[0].delta.content or "" for chunk in stream)
    assert "".join(got) == " word0 word1"
    assert caught.value.body is not None
    assert caught.value.code == code


async def test_the_sdks_retries_are_requests_of_their_own(
    gateway: GatewayProcess, upstream: UpstreamThread, key: VirtualKey
) -> None:
    asked = 0

    async def script(talk: Talk) -> None:
        nonlocal asked
        while True:
            await talk.ask()
            asked += 1
            body = b'{"choices": []}' if asked > 1 else b'{"error": "try again"}'
            status = b"200 OK" if asked > 1 else b"503 Busy\r\nretry-after: 0"
            await talk.say(b"HTTP/1.1 %b\r\ncontent-length: %d\r\n\r\n%b" % (status, len(body), body))

    async with (
        Peer(script) as peer,
        AsyncOpenAI(base_url=gateway.base_url, api_key=key.text, max_retries=2) as client,
    ):
        model = gateway.model_at(peer.port)
        await client.chat.completions.create(model=model, messages=MESSAGES)
    assert asked == 2
    assert sorted(record.status for record in gateway.usage(key=key.id)) == [200, 503]


def test_the_sdks_own_time_out_ends_the_upstream(
    client: OpenAI, gateway: GatewayProcess, upstream: UpstreamThread, key: VirtualKey
) -> None:
    with pytest.raises(openai.APITimeoutError):
        client.with_options(timeout=0.3).chat.completions.create(model="slow", messages=MESSAGES)
    record = gateway.record(key)
    assert (record.status, record.cost_nano) == (499, 0)
    assert upstream.last().client_left


def test_leaving_a_stream_ends_the_upstream(
    client: OpenAI, gateway: GatewayProcess, upstream: UpstreamThread, key: VirtualKey
) -> None:
    stream = client.chat.completions.create(model="events-200+paced-20ms", messages=MESSAGES, stream=True)
    for chunk, _ in zip(stream, range(4), strict=False):
        assert chunk.choices
    exchange = upstream.last()
    stream.close()
    client.close()
    record = gateway.record(key)
    assert record.status == 499
    assert 2 <= record.output_tokens < 100
    assert exchange.client_left
