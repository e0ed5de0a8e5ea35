"""Google's own SDK for Python, pointed at the gateway: it must not notice, whoever answers."""

import base64
import json
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from google import genai
from google.genai import errors, types
from pydantic import BaseModel

from tests.exchange_world import VECTORS, exchange_world
from tests.gemini_peer import SIGNATURE, Script, answer, event, failure, model_at, streamed, whole
from tests.harness import UPSTREAM_KEY, GatewayProcess, UpstreamThread, VirtualKey
from tests.scripted_peer import Peer

pytestmark = pytest.mark.filterwarnings(
    # the SDK's own: it derives a class from aiohttp's session
    "ignore:Inheritance class AiohttpClientSession:DeprecationWarning"
)
WORDS = " word0 word1 word2 word3 word4"
"""What the shared fake provider, which speaks OpenAI's format, answers."""
WEATHER = types.Tool(
    function_declarations=[
        types.FunctionDeclaration(
            name="weather",
            description="The weather in a city.",
            parameters=types.Schema(
                type=types.Type.OBJECT, properties={"city": types.Schema(type=types.Type.STRING)}
            ),
        )
    ]
)
SIGNED = base64.b64decode(SIGNATURE)


class City(BaseModel):
    name: str
    people: int


@pytest.fixture
async def client(gateway: GatewayProcess, key: VirtualKey) -> AsyncGenerator[genai.Client]:
    options = types.HttpOptions(base_url=gateway.url, timeout=15_000)
    opened = genai.Client(api_key=key.text, http_options=options)
    yield opened
    await opened.aio.aclose()
    opened.close()


async def pieces(client: genai.Client, **asked: Any) -> list[types.GenerateContentResponse]:
    return [piece async for piece in await client.aio.models.generate_content_stream(**asked)]


# a target that speaks the dialect itself


async def test_an_answer_passes_as_it_came(
    client: genai.Client, gateway: GatewayProcess, key: VirtualKey
) -> None:
    script = Script([whole(answer([{"text": "Hello é🎈"}], avgLogprobs=-0.25))])
    async with Peer(script) as peer:
        model = model_at(gateway, peer.port)
        said = await client.aio.models.generate_content(
            model=model,
            contents="Say hello. é🎈",
            config=types.GenerateContentConfig(system_instruction="Be brief.", top_k=40, seed=7),
        )
    assert said.text == "Hello é🎈"
    assert said.candidates is not None and said.candidates[0].avg_logprobs == -0.25
    record = gateway.record(key)
    assert (record.input_tokens, record.output_tokens, record.cache_read_tokens) == (12, 8, 4)
    assert (record.route, record.finish_reason, record.usage_source) == ("gemini", "stop", "reported")
    lines = script.head()
    assert lines[0] == "post /v1beta/models/gemini-there:generatecontent http/1.1"
    assert f"x-goog-api-key: {UPSTREAM_KEY}" in lines
    asked = script.body()
    assert asked["generationConfig"] == {"topK": 40, "seed": 7}
    assert asked["systemInstruction"]["parts"] == [{"text": "Be brief."}]


async def test_a_stream_passes_as_it_came(
    client: genai.Client, gateway: GatewayProcess, key: VirtualKey
) -> None:
    script = Script(
        [
            streamed(
                event([{"text": "Hm.", "thought": True}]),
                event([{"text": "Hello "}]),
                event([{"text": "é🎈"}]),
                event([{"text": "", "thoughtSignature": SIGNATURE}], "STOP"),
            )
        ]
    )
    async with Peer(script) as peer:
        got = await pieces(client, model=model_at(gateway, peer.port), contents="Say hello.")
    assert "".join(piece.text or "" for piece in got) == "Hello é🎈"
    parts = [part for piece in got for part in piece.parts or []]
    assert [part.text for part in parts if part.thought] == ["Hm."]
    assert parts[-1].thought_signature == SIGNED
    assert got[-1].usage_metadata is not None and got[-1].usage_metadata.total_token_count == 20
    record = gateway.record(key)
    assert (record.input_tokens, record.output_tokens) == (12, 8)
    assert record.finish_reason == "stop"
    assert script.head()[0] == "post /v1beta/models/gemini-there:streamgeneratecontent?alt=sse http/1.1"


async def test_a_conversation_with_tools(client: genai.Client, gateway: GatewayProcess) -> None:
    calls: list[dict[str, Any]] = [
        {
            "functionCall": {"id": "c1", "name": "weather", "args": {"city": "Paris"}},
            "thoughtSignature": SIGNATURE,
        },
        {"functionCall": {"id": "c2", "name": "weather", "args": {"city": "Rome"}}},
    ]
    script = Script([streamed(event(calls, "STOP")), whole(answer([{"text": "Sunny."}]))])
    async with Peer(script) as peer:
        model = model_at(gateway, peer.port)
        config = types.GenerateContentConfig(tools=[WEATHER])
        turn = types.Content(role="user", parts=[types.Part(text="Paris, Rome?")])
        got = await pieces(client, model=model, contents=[turn], config=config)
        made = got[0].function_calls or []
        assert [(call.id, call.args) for call in made] == [
            ("c1", {"city": "Paris"}),
            ("c2", {"city": "Rome"}),
        ]
        results = [
            types.Part(
                function_response=types.FunctionResponse(
                    id=call.id, name="weather", response={"output": "sun"}
                )
            )
            for call in made
        ]
        assert got[0].candidates is not None and got[0].candidates[0].content is not None
        history = [turn, got[0].candidates[0].content, types.Content(role="user", parts=results)]
        said = await client.aio.models.generate_content(model=model, contents=history, config=config)
    assert said.text == "Sunny."
    calls[0]["thoughtSignature"] = SIGNATURE.replace("/", "_")  # the SDK's own alphabet
    assert script.body()["contents"][1]["parts"] == calls


async def test_refusals_are_googles(client: genai.Client, gateway: GatewayProcess) -> None:
    retry = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "17s"}
    script = Script(
        [
            failure(429, "RESOURCE_EXHAUSTED", "Quota exceeded for requests.", retry),
            failure(400, "INVALID_ARGUMENT", "Unknown name."),
            failure(400, "INVALID_ARGUMENT", "API key not valid.", {"reason": "API_KEY_INVALID"}),
        ]
    )
    async with Peer(script) as peer:
        model = model_at(gateway, peer.port)
        with pytest.raises(errors.ClientError) as limited:
            await client.aio.models.generate_content(model=model, contents="x")
        with pytest.raises(errors.ClientError) as refused:
            await client.aio.models.generate_content(model=model, contents="x")
        with pytest.raises(errors.ServerError) as keyless:
            await client.aio.models.generate_content(model=model, contents="x")
    assert (limited.value.code, limited.value.status) == (429, "RESOURCE_EXHAUSTED")
    assert "Quota exceeded" in (limited.value.message or "")
    assert "17s" in str(limited.value)
    assert (refused.value.code, refused.value.status, refused.value.message) == (
        400,
        "INVALID_ARGUMENT",
        "Unknown name.",
    )
    assert keyless.value.code == 502
    assert UPSTREAM_KEY not in str(keyless.value)


async def test_a_stream_that_breaks_off_is_an_error(
    client: genai.Client, gateway: GatewayProcess, key: VirtualKey
) -> None:
    script = Script([streamed(event([{"text": "Hello "}]), event([{"text": "there"}]))])
    got: list[str] = []
    async with Peer(script) as peer:
        with pytest.raises(errors.APIError) as broken:
            async for piece in await client.aio.models.generate_content_stream(
                model=model_at(gateway, peer.port), contents="x"
            ):
                got.append(piece.text or "")  # noqa: PERF401 - what came before the error counts
    assert "".join(got) == "Hello there"
    assert "before it was complete" in str(broken.value)
    assert gateway.record(key).status == 502


async def test_a_refused_prompt_and_the_errors_of_the_door(
    client: genai.Client, gateway: GatewayProcess
) -> None:
    blocked = {"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 5}}
    script = Script([whole(blocked), streamed(b"data: " + json.dumps(blocked).encode() + b"\r\n\r\n")])
    async with Peer(script) as peer:
        model = model_at(gateway, peer.port)
        said = await client.aio.models.generate_content(model=model, contents="x")
        assert said.prompt_feedback is not None
        assert said.prompt_feedback.block_reason == types.BlockedReason.SAFETY
        got = await pieces(client, model=model, contents="x")
        assert got[-1].prompt_feedback is not None
    with pytest.raises(errors.ClientError) as unknown:
        await client.aio.models.generate_content(model="nobody", contents="x")
    assert (unknown.value.code, unknown.value.status) == (404, "NOT_FOUND")
    stranger = genai.Client(api_key="ask-no-key", http_options=types.HttpOptions(base_url=gateway.url))
    with pytest.raises(errors.ClientError) as keyless:
        await stranger.aio.models.generate_content(model="nobody", contents="x")
    assert (keyless.value.code, keyless.value.status) == (401, "UNAUTHENTICATED")
    await stranger.aio.aclose()
    stranger.close()


async def test_tokens_are_counted_where_they_can_be(client: genai.Client, gateway: GatewayProcess) -> None:
    script = Script([whole({"totalTokens": 7})])
    async with Peer(script) as peer:
        counted = await client.aio.models.count_tokens(
            model=model_at(gateway, peer.port), contents="Say hello."
        )
    assert counted.total_tokens == 7
    assert script.head()[0] == "post /v1beta/models/gemini-there:counttokens http/1.1"
    estimated = await client.aio.models.count_tokens(
        model="patched", contents="Say hello to the whole world."
    )
    assert estimated.total_tokens is not None and 5 < estimated.total_tokens < 40


# a target that speaks OpenAI's format


async def test_an_answer_of_another_format(
    client: genai.Client, gateway: GatewayProcess, upstream: UpstreamThread, key: VirtualKey
) -> None:
    said = await client.aio.models.generate_content(
        model="patched",
        contents=["First.", "Second."],
        config=types.GenerateContentConfig(
            system_instruction="Be brief.", temperature=0.5, max_output_tokens=50, stop_sequences=["."]
        ),
    )
    assert said.text == WORDS
    assert said.candidates is not None
    assert said.candidates[0].finish_reason == types.FinishReason.STOP
    assert said.usage_metadata is not None and said.usage_metadata.total_token_count == 17
    asked = upstream.body()
    assert asked["messages"][0]["role"] in ("system", "developer")
    assert asked["messages"][0]["content"] in ("Be brief.", [{"type": "text", "text": "Be brief."}])
    assert (asked["temperature"], asked["stop"]) == (0.5, ["."])
    assert gateway.record(key).output_tokens == 5


async def test_a_stream_of_another_format(
    client: genai.Client, gateway: GatewayProcess, key: VirtualKey
) -> None:
    got = await pieces(client, model="events-20+paced-20ms", contents="x")
    assert "".join(piece.text or "" for piece in got).startswith(WORDS)
    assert len(got) > 3
    last = got[-1]
    assert last.candidates is not None and last.candidates[0].finish_reason == types.FinishReason.STOP
    assert last.usage_metadata is not None and last.usage_metadata.candidates_token_count
    assert all(
        piece.candidates is not None and piece.candidates[0].finish_reason is None for piece in got[:-1]
    )
    assert gateway.record(key).usage_source == "reported"


def chunk(delta: dict[str, Any], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    body = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
    return b"data: " + json.dumps(body).encode() + b"\n\n"


def called(place: int, **fields: Any) -> dict[str, Any]:
    return {"tool_calls": [{"index": place, **fields}]}


async def test_tools_of_another_format(client: genai.Client, gateway: GatewayProcess) -> None:
    """Two calls whose arguments come in pieces, and their results sent back."""
    first = streamed(
        chunk({"role": "assistant", "content": None}),
        chunk(called(0, id="c1", type="function", function={"name": "weather", "arguments": ""})),
        chunk(called(0, function={"arguments": '{"city":'})),
        chunk(called(0, function={"arguments": ' "Paris"}'})),
        chunk(called(1, id="c2", type="function", function={"name": "weather", "arguments": ""})),
        chunk(called(1, function={"arguments": '{"city": "Rome"}'})),
        chunk({}, "tool_calls"),
        b"data: [DONE]\n\n",
    )
    second = streamed(
        chunk({"role": "assistant", "content": "Sunny."}), chunk({}, "stop"), b"data: [DONE]\n\n"
    )
    script = Script([first, second])
    async with Peer(script) as peer:
        model = model_at(gateway, peer.port, "openai", capabilities=["tools"])
        config = types.GenerateContentConfig(
            tools=[WEATHER],
            tool_config=types.ToolConfig(
                function_calling_config=types.FunctionCallingConfig(mode=types.FunctionCallingConfigMode.ANY)
            ),
        )
        turn = types.Content(role="user", parts=[types.Part(text="Paris, Rome?")])
        got = await pieces(client, model=model, contents=[turn], config=config)
        made = [call for piece in got for call in piece.function_calls or []]
        assert [(call.id, call.args) for call in made] == [
            ("c1", {"city": "Paris"}),
            ("c2", {"city": "Rome"}),
        ]
        asked = script.body()
        assert asked["tool_choice"] == "required"
        assert asked["tools"][0]["function"]["parameters"]["type"] == "object"
        history = [
            turn,
            types.Content(role="model", parts=[types.Part(function_call=call) for call in made]),
            types.Content(
                role="user",
                parts=[
                    types.Part.from_function_response(name="weather", response={"output": "sun"}),
                    types.Part.from_function_response(name="weather", response={"celsius": 31}),
                ],
            ),
        ]
        again = await pieces(client, model=model, contents=history, config=config)
    assert "".join(piece.text or "" for piece in again) == "Sunny."
    results = [each for each in script.body()["messages"] if each["role"] == "tool"]
    assert [(each["tool_call_id"]) for each in results] == ["c1", "c2"]
    assert "sun" in json.dumps(results[0]) and "celsius" in json.dumps(results[1])


async def test_structured_output_of_another_format(client: genai.Client, gateway: GatewayProcess) -> None:
    message = {"role": "assistant", "content": '{"name": "Paris", "people": 2}'}
    body = {
        "id": "c",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7},
    }
    script = Script([whole(body)])
    async with Peer(script) as peer:
        said = await client.aio.models.generate_content(
            model=model_at(gateway, peer.port, "openai", capabilities=["json_schema"]),
            contents="x",
            config=types.GenerateContentConfig(response_mime_type="application/json", response_schema=City),
        )
    assert said.parsed == City(name="Paris", people=2)
    schema = script.body()["response_format"]["json_schema"]["schema"]
    assert schema["properties"]["people"]["type"] == "integer"


async def test_the_models_are_listed(client: genai.Client) -> None:
    listed = [model.name async for model in await client.aio.models.list()]
    assert "models/patched" in listed
    one = await client.aio.models.get(model="patched")
    assert one.name == "models/patched"
    assert one.display_name == "patched"


async def test_a_wrong_base_url_is_named(gateway: GatewayProcess, key: VirtualKey) -> None:
    options = types.HttpOptions(base_url=f"{gateway.url}/v1", timeout=15_000)
    wrong = genai.Client(api_key=key.text, http_options=options)
    with pytest.raises(errors.ClientError, match="base URL of Google's SDK is without a version"):
        await wrong.aio.models.generate_content(model="free", contents="Hello")
    await wrong.aio.aclose()
    wrong.close()


def test_embeddings(gateway: GatewayProcess, key: VirtualKey) -> None:
    options = types.HttpOptions(base_url=gateway.url, timeout=15_000)
    with exchange_world(gateway) as world, genai.Client(api_key=key.text, http_options=options) as client:
        several = client.models.embed_content(
            model=world.cohere_embed,
            contents=["one", "two"],
            config=types.EmbedContentConfig(task_type="RETRIEVAL_DOCUMENT", output_dimensionality=2),
        )
        assert several.embeddings is not None
        assert [each.values for each in several.embeddings] == VECTORS[:2]
        assert world.last().body["input_type"] == "search_document"
        one = client.models.embed_content(model=world.openai_embed, contents="one")
        assert one.embeddings is not None
        assert one.embeddings[0].values == VECTORS[0]
        with pytest.raises(errors.ClientError, match="of kind `chat`"):
            client.models.embed_content(model="free", contents="one")
    assert {record.route for record in gateway.usage(key=key.id)} == {"gemini_embeddings"}
