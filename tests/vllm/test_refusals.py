"""vLLM's own refusals: they reach the client as what they are, with vLLM's words, and cost nothing."""

from typing import Any

import openai
import pytest

from tests.vllm.asking import chat, chat_stream, request_id, user
from tests.vllm.gateway import Gateway

HELLO: dict[str, Any] = {"messages": user("Hello")}
ENDLESS: dict[str, Any] = {"messages": user("Hello " * 6000)}
BAD_SCHEMA = {"type": "json_schema", "json_schema": {"name": "bad", "schema": {"type": "nonsense"}}}


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (ENDLESS, "maximum context length"),
        (ENDLESS | {"stream": True}, "maximum context length"),
        (HELLO | {"temperature": -1}, "temperature"),
        (HELLO | {"response_format": BAD_SCHEMA}, "nonsense"),
    ],
    ids=["context overflow", "context overflow, streamed", "temperature", "schema"],
)
def test_a_400_keeps_its_message(
    client: openai.OpenAI, gateway: Gateway, ask: dict[str, Any], words: str
) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        chat(client, {"model": "tiny", **ask})
    assert words in refused.value.message
    assert refused.value.type == "invalid_request_error"
    record = gateway.record(refused.value.response.headers["x-request-id"])
    assert (record.status, record.input_tokens, record.output_tokens, record.cost_nano) == (400, 0, 0, 0)


def test_what_vllm_refuses_only_inside_the_stream(client: openai.OpenAI, gateway: Gateway) -> None:
    # vLLM compiles the schema after it has answered 200, and puts its error into the stream.
    stream = chat_stream(client, {"model": "tiny", **HELLO, "response_format": BAD_SCHEMA})
    with pytest.raises(openai.APIError, match="nonsense"), stream:
        list(stream)
    record = gateway.record(request_id(stream))
    assert record.error is not None
    assert (record.output_tokens, record.cost_nano) == (0, 0)


def test_a_model_the_worker_has_not_loaded_is_the_catalogues_mistake(client: openai.OpenAI) -> None:
    with pytest.raises(openai.InternalServerError) as refused:
        chat(client, {"model": "never-loaded", **HELLO})
    assert (refused.value.status_code, refused.value.code) == (502, "upstream_model_not_found")
    assert "some-other-model" in refused.value.message
