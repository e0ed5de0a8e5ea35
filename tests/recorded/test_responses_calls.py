"""Every recorded call of /v1/responses: what we make of it against what OpenAI's own SDK makes of the same bytes.

Requests go out again as they came in, answers are written as the SDK's models want them and read back the same, and
a stream says the same however the network cuts it.
"""

import json
import random
from collections.abc import Iterator, Sequence
from typing import Any, cast

import httpx2 as httpx
import msgspec
import pytest
from openai import OpenAI
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter, ValidationError

from gateway.dialects.dialect import Setting
from gateway.dialects.openai_responses import Responses
from inference.ir.cards import Kind, Model, Price
from inference.ir.chat import ChatRequest
from inference.ir.completion import Completion, Finish
from inference.ir.content import Opaque, Part, Reasoning, Refusal, Text, ToolCall
from inference.ir.events import Event
from inference.ir.folding import fold, unfold
from inference.providers.openai.responses_completion import read_completion
from inference.providers.openai.responses_lane import ResponsesLane
from inference.providers.openai.responses_request import write_request
from inference.providers.openai.responses_stream import ResponsesParser
from inference.wire import Parser
from tests.recorded.calls import Recorded, calls, crlf, cuts

PROVIDERS = ("openai", "deepseek", "openrouter", "azure-openai")
CARD = Model(name="m", kind=Kind.CHAT, price=Price(input=1, output=1, version="x"))
CHAT = Responses().chat
EVENTS: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
OWN_TYPES = {"message", "function_call", "custom_tool_call", "reasoning"}


def recorded(provider: str, *, stream: bool | None = None, status: int | None = 200) -> list[Recorded]:
    found = calls(provider, path_contains="/responses", stream=stream, status=status)
    return [call for call in found if call.url.split("?")[0].endswith("/responses")]


def parsed(pieces: Sequence[bytes]) -> list[Event]:
    """The events of one stream, cut so."""
    parser: Parser = ResponsesParser()
    events: list[Event] = []
    for piece in pieces:
        events += parser.feed(piece)
    if not parser.complete:
        events += parser.finish()
    return events


def completion_of(call: Recorded) -> Completion:
    return fold(parsed([call.body])) if call.stream else read_completion(call.body)


def as_the_sdk_reads_it(call: Recorded) -> Response:
    """The SDK's own client, given the recorded bytes: its response, or that of a stream's last event."""
    kind = "text/event-stream" if call.stream else "application/json"

    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers={"content-type": kind}, content=call.body)

    transport = httpx.MockTransport(answer)
    with OpenAI(api_key="none", http_client=httpx.Client(transport=transport), max_retries=0) as client:
        if not call.stream:
            return client.responses.create(model="m", input="i")
        *_, last = client.responses.create(model="m", input="i", stream=True)
        return cast(Response, cast(Any, last).response)


def parts_of(completion: Completion, kind: type[Part]) -> list[Any]:
    return [part for part in completion.choices[0].parts if isinstance(part, kind)]


def plain(value: object) -> Any:
    return json.loads(msgspec.json.encode(value))


# answers


@pytest.mark.parametrize("provider", PROVIDERS)
def test_answers_say_what_the_sdk_hears(provider: str) -> None:
    found = recorded(provider)
    assert found
    for call in found:
        answer_agrees(call)


def answer_agrees(call: Recorded) -> None:
    ours, theirs = completion_of(call), as_the_sdk_reads_it(call)
    assert (ours.id, ours.model) == (theirs.id, theirs.model), call.label
    assert facts(ours, whole=not call.stream) == sdk_facts(theirs, whole=not call.stream), call.label


def facts(completion: Completion, *, whole: bool) -> dict[str, Any]:
    """Everything of an answer that the SDK knows too.

    In a stream some providers encrypt what was thought anew, or name it anew, in each event that holds it.
    """
    choice, usage = completion.choices[0], completion.usage
    thoughts = [part for part in choice.parts if isinstance(part, Reasoning)]
    return {
        "text": "".join(part.text for part in choice.parts if isinstance(part, Text)),
        "refusals": [part.text for part in choice.parts if isinstance(part, Refusal)],
        "calls": [
            (part.id, part.item_id, part.name, part.arguments, sorted(part.rest))
            for part in choice.parts
            if isinstance(part, ToolCall)
        ],
        "thoughts": [(part.id if whole else None, part.text, part.summaries) for part in thoughts],
        "signatures": [part.signature if whole else bool(part.signature) for part in thoughts],
        "citations": [
            plain(each.raw) for part in choice.parts if isinstance(part, Text) for each in part.citations
        ],
        "hosted": [(part.kind, plain(part.raw)) for part in choice.parts if isinstance(part, Opaque)],
        "finish": choice.finish,
        "usage": (
            usage.input_tokens,
            usage.output_tokens,
            usage.cache_read_tokens,
            usage.cache_write_tokens,
            usage.reasoning_tokens,
        ),
    }


def sdk_facts(response: Response, *, whole: bool) -> dict[str, Any]:
    items = [cast(Any, item) for item in response.output]
    content = [part for item in items if item.type == "message" for part in item.content]
    thoughts = [item for item in items if item.type == "reasoning"]
    usage = response.usage
    written = 0 if usage is None else getattr(usage.input_tokens_details, "cache_write_tokens", 0)
    return {
        "text": response.output_text,
        "refusals": [part.refusal for part in content if part.type == "refusal"],
        "calls": [
            (item.call_id, item.id, item.name, item.arguments, ["namespace"] if item.namespace else [])
            for item in items
            if item.type == "function_call"
        ],
        "thoughts": [
            (
                item.id if whole else None,
                "".join(each.text for each in item.content or ()),
                tuple(each.text for each in item.summary),
            )
            for item in thoughts
        ],
        "signatures": [
            item.encrypted_content if whole else bool(item.encrypted_content) for item in thoughts
        ],
        "citations": [
            each.to_dict() for part in content if part.type == "output_text" for each in part.annotations
        ],
        "hosted": [(item.type, item.to_dict(warnings=False)) for item in items if item.type not in OWN_TYPES],
        "finish": _finish(response),
        "usage": (0, 0, 0, 0, 0)
        if usage is None
        else (
            usage.input_tokens,
            usage.output_tokens,
            usage.input_tokens_details.cached_tokens,
            written or 0,
            usage.output_tokens_details.reasoning_tokens,
        ),
    }


def _finish(response: Response) -> Finish | None:
    if response.status == "incomplete":
        return Finish.LENGTH
    if response.status == "queued":
        return None
    called = any(item.type in ("function_call", "custom_tool_call") for item in response.output)
    return Finish.TOOL_CALLS if called else Finish.STOP


# streams


def test_a_stream_says_the_same_however_it_is_cut() -> None:
    streams = sorted((call for name in PROVIDERS for call in recorded(name, stream=True)), key=_size)
    assert len(streams) > 100
    for number, call in enumerate(streams):
        whole = plain(parsed([call.body]))
        assert plain(parsed([crlf(call.body)])) == whole, call.label
        ways = cuts(call.body, every_byte=True) if number < 2 else few(call.body, 4 if number > 20 else 40)
        for pieces in ways:
            assert plain(parsed(pieces)) == whole, call.label


def test_a_stream_that_is_passed_on_keeps_every_byte_and_its_usage() -> None:
    for call in (call for name in PROVIDERS for call in recorded(name, stream=True)):
        usage = fold(parsed([call.body])).usage
        end = call.body.rfind(b"data: [DONE]")
        body = call.body if end < 0 else call.body[:end]  # nothing of this format's
        for pieces in few(body, 3):
            tap = ResponsesLane("/responses").stream(None)
            out = b"".join(tap.feed(piece) for piece in pieces)
            assert tap.done, call.label
            assert b"response.completed" not in out
            assert b"response.incomplete" not in out
            assert (out + tap.finish()).strip() == body.strip(), call.label
            assert tap.usage() == usage, call.label


def _size(call: Recorded) -> int:
    return len(call.body)


def few(stream: bytes, sets: int) -> Iterator[list[bytes]]:
    """Some ways to cut a stream, without that of single bytes."""
    chance = random.Random(len(stream))
    for _ in range(sets):
        places = sorted(chance.sample(range(1, len(stream)), min(len(stream) - 1, 40)))
        yield [stream[a:b] for a, b in zip([0, *places], [*places, len(stream)], strict=True)]


# requests


@pytest.mark.parametrize("provider", PROVIDERS)
def test_requests_go_out_as_they_came_in(provider: str) -> None:
    for call in recorded(provider, status=None):
        request_returns(call)


def request_returns(call: Recorded) -> None:
    asked = read(call)
    written = write_request(asked, model=asked.model, card=CARD)
    assert written.dropped == (), call.label
    assert canonical(written.body) == canonical(call.asked), call.label


def read(call: Recorded) -> ChatRequest:
    assert CHAT is not None
    return CHAT.parse(call.asked)


GATEWAYS = ("store", "stream", "background", "previous_response_id", "conversation", "stream_options")


def canonical(body: bytes) -> dict[str, Any]:
    """A request with everything said that is so when nothing is said, and nothing that says nothing."""
    said: dict[str, Any] = json.loads(body)
    said = {key: value for key, value in said.items() if key not in GATEWAYS}
    include = [each for each in said.pop("include", None) or () if each != "reasoning.encrypted_content"]
    if include:
        said["include"] = include
    if said.get("truncation") == "disabled":
        del said["truncation"]
    given = said.pop("input", [])
    items = [{"role": "user", "content": given}] if isinstance(given, str) else given
    said["input"] = [_item(item) for item in items]
    found = cast(dict[str, Any], _without_nothing(said))
    return {key: value for key, value in found.items() if value not in ({}, [])}


def _item(given: dict[str, Any]) -> dict[str, Any]:
    item = dict(given)
    kind = item.setdefault("type", "message")
    if kind == "message":
        text = "output_text" if item["role"] == "assistant" else "input_text"
        content = item["content"]
        parts = [{"type": text, "text": content}] if isinstance(content, str) else content
        item["content"] = [{key: value for key, value in part.items() if value != []} for part in parts]
    output = item.get("output")
    if kind.endswith("call_output") and isinstance(output, list) and len(cast(list[Any], output)) == 1:
        only = cast(dict[str, Any], output[0])
        item["output"] = only["text"] if set(only) == {"type", "text"} else output
    if kind == "reasoning" and item.get("content") == []:
        del item["content"]
    if kind in OWN_TYPES | {"function_call_output"} and item.get("status") == "completed":
        del item["status"]
    return item


def _without_nothing(value: object) -> object:
    if isinstance(value, dict):
        members = cast(dict[str, object], value).items()
        return {key: _without_nothing(each) for key, each in members if each is not None}
    return (
        [_without_nothing(each) for each in cast(list[object], value)] if isinstance(value, list) else value
    )


# answers written


@pytest.mark.parametrize("provider", PROVIDERS)
def test_answers_are_written_as_the_sdk_wants_them_and_read_back_the_same(provider: str) -> None:
    for number, call in enumerate(recorded(provider)):
        written_again(call, number)


def written_again(call: Recorded, number: int = 0) -> None:
    assert CHAT is not None
    asked, completion = read(call), completion_of(call)
    setting = Setting(id=f"req-0011223344556677{number:08x}", model=asked.model, created=1_700_000_000)
    rendered = CHAT.answer(completion, asked, setting)
    assert rendered.dropped == (), call.label
    told = json.loads(rendered.body)
    if unknown_to_the_sdk(told):
        return
    Response.model_validate(told)
    assert said(read_completion(rendered.body)) == said(completion), call.label
    writer = CHAT.writer(asked, setting)
    stream = writer.write(list(unfold(completion))) + writer.finish()
    events = [json.loads(line[6:]) for line in stream.splitlines() if line.startswith(b"data: ")]
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    for event in events:
        EVENTS.validate_python(event)
    assert said(fold(parsed([stream]))) == said(completion), call.label
    assert without_phase(events[-1]["response"]) == without_phase(told), call.label


def unknown_to_the_sdk(told: dict[str, Any]) -> bool:
    """Items of hosted tools that the SDK's own models refuse, as they came from the provider."""
    try:
        Response.model_validate({**told, "output": [each for each in told["output"] if hosted(each)]})
    except ValidationError:
        return True
    return False


def hosted(item: dict[str, Any]) -> bool:
    return item["type"] not in OWN_TYPES


def said(completion: Completion) -> list[dict[str, Any]]:
    """The parts without the ids, which are the gateway's own once it wrote them."""
    parts: list[dict[str, Any]] = plain(completion.choices[0].parts)
    return [{key: value for key, value in part.items() if key not in ("id", "item_id")} for part in parts]


def without_phase(told: dict[str, Any]) -> dict[str, Any]:
    """A whole answer taken apart tells the phase after its text, where a stream has closed the message already."""
    items = [{key: value for key, value in item.items() if key != "phase"} for item in told["output"]]
    return {**told, "output": items}
