"""The official OpenAI SDK's `client.responses`, pointed at the gateway: translated through chat, and passed on."""

import json
from collections.abc import Iterator
from typing import Any, cast

import openai
import pytest
from openai import OpenAI
from openai.types.responses import (
    FunctionToolParam,
    ResponseCompletedEvent,
    ResponseCreatedEvent,
    ResponseFunctionToolCall,
    ResponseReasoningItem,
    ResponseTextDeltaEvent,
)
from pydantic import BaseModel

from tests.harness import PRICE, GatewayProcess, VirtualKey
from tests.responses_upstream import ARGUMENTS, ResponsesUpstream

WEATHER: FunctionToolParam = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather in a city.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    "strict": False,
}
MODELS = ("through-chat", "passed-on", "by-responses")
"""A server that speaks only chat, one that speaks responses too, one that speaks nothing else."""


@pytest.fixture(scope="module")
def server() -> Iterator[ResponsesUpstream]:
    with ResponsesUpstream() as running:
        yield running


@pytest.fixture(autouse=True)
def models(gateway: GatewayProcess, server: ResponsesUpstream) -> None:
    def at(wire: str, **more: Any) -> dict[str, Any]:
        return {"wire": wire, "base_url": server.base_url, **more}

    def model(provider: str) -> dict[str, Any]:
        return {"kind": "chat", "price": PRICE, "targets": [{"provider": provider, "model": "gpt-5-test"}]}

    gateway.configure(
        providers={
            "chat-only": at("openai"),
            "both": at("openai", also=["responses"]),
            "responses-only": at("openai-responses"),
        },
        models={
            "through-chat": model("chat-only"),
            "passed-on": model("both"),
            "by-responses": model("responses-only"),
        },
    )


@pytest.fixture
def client(gateway: GatewayProcess, key: VirtualKey) -> Iterator[OpenAI]:
    with OpenAI(base_url=gateway.base_url, api_key=key.text, max_retries=0, timeout=15) as opened:
        yield opened


# answers


@pytest.mark.parametrize("model", MODELS)
def test_an_answer(client: OpenAI, gateway: GatewayProcess, key: VirtualKey, model: str) -> None:
    answer = client.responses.create(model=model, input="Hello é🎈", instructions="Be kind.")
    assert answer.output_text == "You said: Hello é🎈"
    assert answer.status == "completed"
    assert answer.id.startswith("resp_")
    assert answer.id != "resp_upstreams_own"
    assert answer.instructions == "Be kind."
    assert answer.usage is not None
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (20, 9)
    assert answer.usage.input_tokens_details.cached_tokens == 4
    assert answer.usage.output_tokens_details.reasoning_tokens == 3
    record = gateway.record(key)
    assert (record.input_tokens, record.output_tokens, record.finish_reason) == (20, 9, "stop")
    assert (answer.model_extra or {}).get("x_upstream") == (
        None if model == "through-chat" else {"kept": True}
    )


@pytest.mark.parametrize("model", MODELS)
def test_a_stream_as_the_sdk_puts_it_together(
    client: OpenAI, gateway: GatewayProcess, key: VirtualKey, model: str
) -> None:
    with client.responses.stream(model=model, input="one two three") as stream:
        events = list(stream)
        final = stream.get_final_response()
    pieces = [event.delta for event in events if event.type == "response.output_text.delta"]
    assert "".join(pieces) == "You said: one two three"
    assert len(pieces) > 3
    assert final.output_text == "You said: one two three"
    assert gateway.record(key).output_tokens == 9
    assert client.responses.retrieve(final.id).output_text == final.output_text


@pytest.mark.parametrize("model", MODELS)
def test_a_plain_stream_names_one_response(client: OpenAI, model: str) -> None:
    events = list(client.responses.create(model=model, input="hello", stream=True))
    assert [event.sequence_number for event in events] == list(range(len(events)))
    first, last = events[0], events[-1]
    assert isinstance(first, ResponseCreatedEvent)
    assert isinstance(last, ResponseCompletedEvent)
    assert first.response.id == last.response.id
    assert first.response.id.startswith("resp_")
    assert first.response.id != "resp_upstreams_own"
    said = "".join(event.delta for event in events if isinstance(event, ResponseTextDeltaEvent))
    assert said == last.response.output_text == "You said: hello"


# conversations


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("model", MODELS)
def test_a_conversation_goes_on_from_a_response(
    client: OpenAI, server: ResponsesUpstream, model: str, streamed: bool
) -> None:
    first = client.responses.create(model=model, input="my name is Ada", instructions="Shout.")
    if streamed:
        with client.responses.stream(
            model=model, input="what is it", previous_response_id=first.id
        ) as stream:
            second = stream.get_final_response()
    else:
        second = client.responses.create(model=model, input="what is it", previous_response_id=first.id)
    assert second.output_text == "You said: my name is Ada | what is it"
    assert second.previous_response_id == first.id
    third = client.responses.create(model=model, input="bye", previous_response_id=second.id)
    assert third.output_text == "You said: my name is Ada | what is it | bye"
    sent = server.body()
    assert "previous_response_id" not in sent
    assert sent.get("instructions") is None
    assert "Shout." not in json.dumps(sent)


@pytest.mark.parametrize("model", ["passed-on", "by-responses"])
def test_nothing_is_kept_at_the_provider_and_reasoning_comes_back_sealed(
    client: OpenAI, server: ResponsesUpstream, model: str
) -> None:
    first = client.responses.create(model=model, input="think")
    assert server.body("/responses")["store"] is False
    assert server.body("/responses")["include"] == ["reasoning.encrypted_content"]
    assert (first.model_extra or {})["store"] is True
    thought = first.output[0]
    assert isinstance(thought, ResponseReasoningItem)
    assert thought.encrypted_content == "sealed-1"
    client.responses.create(model=model, input="again", previous_response_id=first.id)
    kinds = [item.get("type", "message") for item in server.body("/responses")["input"]]
    assert kinds == ["message", "reasoning", "message", "message"]
    assert server.body("/responses")["input"][1]["encrypted_content"] == "sealed-1"


@pytest.mark.parametrize("model", MODELS)
def test_a_tool_is_called_and_answered(client: OpenAI, server: ResponsesUpstream, model: str) -> None:
    asked = client.responses.create(model=model, input="weather?", tools=[WEATHER])
    call = next(item for item in asked.output if isinstance(item, ResponseFunctionToolCall))
    assert (call.name, call.arguments, call.call_id) == ("get_weather", ARGUMENTS, "call_w1")
    result: Any = {"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}
    told = client.responses.create(
        model=model, input=[result], tools=[WEATHER], previous_response_id=asked.id
    )
    assert told.output_text == "The tool says sunny."


@pytest.mark.parametrize("model", MODELS)
def test_a_tool_is_called_in_a_stream_by_a_client_that_keeps_the_items_itself(
    client: OpenAI, model: str
) -> None:
    history: list[Any] = [{"role": "user", "content": "weather?"}]
    with client.responses.stream(model=model, input=history, tools=[WEATHER], store=False) as stream:
        pieces = [event.delta for event in stream if event.type == "response.function_call_arguments.delta"]
        asked = stream.get_final_response()
    assert "".join(pieces) == ARGUMENTS
    history += [item.model_dump(exclude_none=True, exclude={"parsed_arguments"}) for item in asked.output]
    history.append({"type": "function_call_output", "call_id": "call_w1", "output": "rain"})
    told = client.responses.create(model=model, input=history, tools=[WEATHER], store=False)
    assert told.output_text == "The tool says rain."
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(told.id)


class Weather(BaseModel):
    city: str
    degrees: int


@pytest.mark.parametrize("model", MODELS)
def test_structured_output(client: OpenAI, server: ResponsesUpstream, model: str) -> None:
    answer = client.responses.parse(model=model, input="where and how warm", text_format=Weather)
    assert answer.output_parsed == Weather(city="Paris", degrees=21)


# what is kept


def test_what_is_kept_is_read_listed_and_deleted(client: OpenAI) -> None:
    first = client.responses.create(model="through-chat", input="one")
    second = client.responses.create(
        model="through-chat",
        input=[{"role": "user", "content": "two"}, {"role": "user", "content": "three"}],
        previous_response_id=first.id,
    )
    again = client.responses.retrieve(second.id)
    assert again.to_dict() == second.to_dict()
    listed = client.responses.input_items.list(second.id, order="asc", limit=2)
    texts = [item.model_dump()["content"][0]["text"] for item in listed]  # the SDK turns the pages
    assert texts == ["one", "You said: one", "two", "three"]
    page = client.responses.input_items.list(second.id, limit=1)
    assert page.data[0].model_dump()["content"][0]["text"] == "three"
    assert page.has_more
    with pytest.raises(openai.BadRequestError, match="synchronous"):
        client.responses.cancel(second.id)
    client.responses.delete(first.id)
    for call in (client.responses.retrieve, client.responses.delete, client.responses.input_items.list):
        with pytest.raises(openai.NotFoundError):
            call(first.id)
    with pytest.raises(openai.BadRequestError) as refused:
        client.responses.create(model="through-chat", input="four", previous_response_id=second.id)
    assert refused.value.code == "previous_response_not_found"


@pytest.mark.parametrize("model", MODELS)
def test_another_tenants_response_is_not_there(client: OpenAI, gateway: GatewayProcess, model: str) -> None:
    mine = client.responses.create(model=model, input="a secret")
    with OpenAI(base_url=gateway.base_url, api_key=gateway.new_key().text, max_retries=0) as other:
        for call in (
            other.responses.retrieve,
            other.responses.delete,
            other.responses.cancel,
            other.responses.input_items.list,
        ):
            with pytest.raises(openai.NotFoundError):
                call(mine.id)
        with pytest.raises(openai.BadRequestError) as refused:
            other.responses.create(model=model, input="tell", previous_response_id=mine.id)
    assert refused.value.code == "previous_response_not_found"
    assert refused.value.param == "previous_response_id"
    assert client.responses.retrieve(mine.id).output_text == "You said: a secret"
    assert "a secret" not in gateway.output()


# what is refused


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({"background": True}, "background", "not_supported"),
        ({"conversation": "conv_1"}, "conversation", "not_supported"),
        ({"previous_response_id": "resp_nobody"}, "previous_response_id", "previous_response_not_found"),
        ({"input": []}, "input", "invalid_value"),
        ({"input": 3}, "input", "invalid_value"),
        ({"tools": [{"type": "function"}]}, "tools[0].name", "missing_field"),
        (
            {"input": [{"type": "function_call_output", "call_id": "call_x", "output": "1"}]},
            "input[0].call_id",
            "tool_call_not_found",
        ),
        ({"text": {"format": {"type": "xml"}}}, "text.format.type", "invalid_value"),
    ],
)
def test_bad_requests(client: OpenAI, fields: dict[str, Any], param: str, code: str) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        cast(Any, client.responses).create(**{"model": "through-chat", "input": "hi", **fields})
    assert (refused.value.param, refused.value.code) == (param, code)


def test_a_failure_within_a_stream(client: OpenAI, gateway: GatewayProcess, key: VirtualKey) -> None:
    events = list(client.responses.create(model="passed-on", input="fail now", stream=True))
    assert events[-1].type == "response.failed"
    assert gateway.record(key).error == "upstream_stream_error"
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(events[-1].response.id)


def test_a_failure_within_a_stream_that_is_translated(client: OpenAI) -> None:
    with pytest.raises(openai.APIError):
        list(client.responses.create(model="cut-after-3", input="hi", stream=True))


def test_a_chat_client_reaches_a_model_that_speaks_only_responses(client: OpenAI) -> None:
    answer = client.chat.completions.create(
        model="by-responses", messages=[{"role": "user", "content": "hello"}]
    )
    assert answer.choices[0].message.content == "You said: hello"
    assert answer.usage is not None
    assert answer.usage.total_tokens == 29
    pieces = client.chat.completions.create(
        model="by-responses", messages=[{"role": "user", "content": "hello"}], stream=True
    )
    assert (
        "".join(each.choices[0].delta.content or "" for each in pieces if each.choices) == "You said: hello"
    )
