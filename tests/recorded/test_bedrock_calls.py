"""Recorded calls of Bedrock through our parsers, held against what botocore makes of the same bytes.

Of the 238 recorded calls these are those of Converse (140, and 5 refused), ConverseStream (16, and 1 refused) and of
embeddings by InvokeModel (19). Claude by InvokeModel (17) and CountTokens (7) are in `test_invoke_calls.py`. Not
spoken: InvokeModel with the other makers' own formats (31) and ApplyGuardrail (2).
"""

import json
from typing import Any, cast
from urllib.parse import unquote

import msgspec
import pytest
from botocore.eventstream import EventStreamBuffer
from msgspec import Raw

from inference.codecs.aws_event_stream import EventStreamReader
from inference.ir.cards import Kind, Model, Price
from inference.ir.chat import (
    ChatRequest,
)
from inference.ir.completion import Completion
from inference.ir.content import (
    Family,
    Opaque,
    Reasoning,
    Text,
    ToolCall,
)
from inference.ir.embedding import EmbeddingRequest, EmbeddingResult, InputType, Truncate
from inference.ir.errors import UpstreamRefused
from inference.ir.folding import fold
from inference.providers.bedrock import WIRE
from inference.providers.bedrock.chat import BedrockChat
from inference.providers.bedrock.converse_completion import FINISHES
from inference.providers.bedrock.naming import Maker, maker
from inference.providers.bedrock.reading import SERVER_TOOL
from tests.aws_shapes import PARSER, SERVICE, check_request
from tests.recorded.calls import Recorded, calls, cuts
from tests.recorded.converse_words import cleaned, merged, neutral

CARD = Model(
    name="m",
    kind=Kind.CHAT,
    price=Price(input=1, output=1, version="p"),
    capabilities=frozenset({"json_schema", "reasoning", "adaptive_thinking", "prompt_cache"}),
)


def model_of(call: Recorded) -> str:
    return unquote(call.url.split("/model/")[1].rsplit("/", 1)[0])


def whole_calls() -> list[Recorded]:
    found = calls("bedrock", path_contains="/converse", status=200)
    return [call for call in found if call.url.endswith("/converse")]


def streams() -> list[Recorded]:
    return list(calls("bedrock", path_contains="/converse-stream", status=200))


class Said:
    """An answer as botocore has it, whole or put together from its events."""

    def __init__(self, content: list[dict[str, Any]], stop: str, usage: dict[str, Any]) -> None:
        self.stop, self.usage = stop, usage
        self.text = "".join(block.get("text", "") for block in content)
        thoughts = [block["reasoningContent"] for block in content if "reasoningContent" in block]
        self.thought = "".join(each.get("reasoningText", {}).get("text", "") for each in thoughts)
        self.signatures = [
            each["reasoningText"]["signature"]
            for each in thoughts
            if each.get("reasoningText", {}).get("signature")
        ]
        self.redacted = [each["redactedContent"] for each in thoughts if "redactedContent" in each]
        used = [block["toolUse"] for block in content if "toolUse" in block]
        self.calls = [
            (each["toolUseId"], each["name"], each["input"])
            for each in used
            if each.get("type") != SERVER_TOOL
        ]
        self.own = [
            next(iter(block))
            for block in content
            if "toolResult" in block or block.get("toolUse", {}).get("type") == SERVER_TOOL
        ]

    @classmethod
    def whole(cls, body: bytes) -> "Said":
        shape = SERVICE.operation_model("Converse").output_shape
        told = PARSER.parse({"status_code": 200, "headers": {}, "body": body}, shape)
        return cls(told["output"]["message"]["content"], told["stopReason"], told["usage"])

    @classmethod
    def streamed(cls, body: bytes) -> "Said":
        shape = SERVICE.shape_for("ConverseStreamOutput")
        buffer: Any = EventStreamBuffer()
        buffer.add_data(body)
        blocks: dict[int, dict[str, Any]] = {}
        stop, usage = "", dict[str, Any]()
        for message in buffer:
            told: dict[str, Any] = PARSER._event_stream_parser.parse(  # pyright: ignore[reportPrivateUsage]  # as EventStream itself calls it
                message.to_response_dict(), shape
            )
            kind, event = next(iter(told.items()))
            if "contentBlockIndex" in event:
                grow(blocks.setdefault(event["contentBlockIndex"], {}), event)
            elif kind == "messageStop":
                stop = event["stopReason"]
            elif kind == "metadata":
                usage = event["usage"]
        for block in blocks.values():
            if "toolUse" in block:
                block["toolUse"]["input"] = json.loads(block["toolUse"]["input"] or "{}")
        return cls(list(blocks.values()), stop, usage)


def grow(block: dict[str, Any], event: dict[str, Any]) -> None:
    if "start" in event:
        block.update(event["start"])
        if "toolUse" in block:
            block["toolUse"]["input"] = ""
    delta = event.get("delta", {})
    if "text" in delta:
        block["text"] = block.get("text", "") + delta["text"]
    if "toolUse" in delta:
        block["toolUse"]["input"] += delta["toolUse"]["input"]
    thought = delta.get("reasoningContent", {})
    if "redactedContent" in thought:
        block["reasoningContent"] = thought
    elif thought:
        made = block.setdefault("reasoningContent", {"reasoningText": {"text": ""}})["reasoningText"]
        made["text"] += thought.get("text", "")
        if "signature" in thought:
            made["signature"] = thought["signature"]


def compare(ours: Completion, theirs: Said, made_by: Maker) -> None:
    (choice,) = ours.choices
    thoughts = [part for part in choice.parts if isinstance(part, Reasoning)]
    assert "".join(part.text for part in choice.parts if isinstance(part, Text)) == theirs.text
    assert "".join(part.text for part in thoughts) == theirs.thought
    assert [part.signature for part in thoughts if part.signature] == theirs.signatures
    hidden = [part.redacted for part in thoughts if part.redacted is not None]
    assert hidden == [each.decode() for each in theirs.redacted]
    issuer = Family.ANTHROPIC if made_by is Maker.CLAUDE else Family.BEDROCK
    assert all(part.issuer is issuer for part in thoughts if part.signature or part.redacted)
    made = [
        (part.id, part.name, json.loads(part.arguments or "{}"))
        for part in choice.parts
        if isinstance(part, ToolCall)
    ]
    assert made == theirs.calls
    assert [part.kind for part in choice.parts if isinstance(part, Opaque)] == theirs.own
    assert (choice.native, choice.finish) == (theirs.stop, FINISHES[theirs.stop])
    usage, told = ours.usage, theirs.usage
    read, written = told.get("cacheReadInputTokens", 0), told.get("cacheWriteInputTokens", 0)
    assert usage.input_tokens == told["inputTokens"] + read + written
    assert (usage.output_tokens, usage.cache_read_tokens) == (told["outputTokens"], read)
    assert usage.cache_write_tokens == written
    assert usage.input_tokens + usage.output_tokens == told["totalTokens"]


def read(pieces: list[bytes], model: str) -> Completion:
    """A stream that came in these pieces."""
    parser = BedrockChat().of(model).stream()
    events = [event for piece in pieces for event in parser.feed(piece)]
    events += parser.finish()
    assert parser.complete
    return fold(events)


def test_whole_answers() -> None:
    recorded = whole_calls()
    for call in recorded:
        answer_agrees(call)
    assert len(recorded) == 140


def answer_agrees(call: Recorded) -> None:
    """Whole or streamed."""
    model = model_of(call)
    if call.url.endswith("-stream"):
        compare(read([call.body], model), Said.streamed(call.body), maker(model))
    else:
        compare(BedrockChat().of(model).completion(call.body), Said.whole(call.body), maker(model))


def test_streams() -> None:
    recorded = streams()
    for call in recorded:
        answer_agrees(call)
    assert len(recorded) == 16


@pytest.mark.parametrize("number", range(16))
def test_streams_cut_anywhere(number: int) -> None:
    """The three shortest at every byte, the others at forty random sets of places."""
    call = sorted(streams(), key=lambda each: len(each.body))[number]
    whole = read([call.body], model_of(call))
    for pieces in cuts(call.body, every_byte=number < 3):
        assert read(pieces, model_of(call)) == whole


def test_messages_are_those_of_botocore() -> None:
    """Also those of the streams of InvokeModel, whose events are not read further."""
    recorded = [call for call in calls("bedrock", status=200) if call.response_b64 is not None]
    for call in recorded:
        buffer: Any = EventStreamBuffer()
        reader = EventStreamReader()
        buffer.add_data(call.body)
        ours = [(each.headers, each.payload) for each in reader.feed(call.body)]
        reader.finish()
        assert ours == [(each.headers, each.payload) for each in buffer]
    assert len(recorded) == 23


def test_refusals_keep_their_message() -> None:
    recorded = list(calls("bedrock", path_contains="/converse", status=400))
    for call in recorded:
        error = WIRE.error(400, None, call.body)
        assert isinstance(error, UpstreamRefused)
        assert error.message == json.loads(call.body)["message"]
    assert len(recorded) == 6


def test_embeddings() -> None:
    recorded = list(calls("bedrock", path_contains="embed", status=200))
    for call in recorded:
        embeddings_agree(call)
    assert len(recorded) == 19


def embeddings_agree(call: Recorded) -> None:
    exchange = WIRE.exchanges[Kind.EMBEDDING]
    sent, told = json.loads(call.asked), json.loads(call.body)
    answer: EmbeddingResult = exchange.answer(call.body, "application/json")
    vectors = [msgspec.json.decode(each, type=list[float]) for each in answer.vectors]
    assert vectors == told_vectors(told)
    assert answer.usage.input_tokens == told.get("inputTextTokenCount", 0)
    out = exchange.request(embedding(sent), model=model_of(call), card=CARD)
    assert out.path == "/model/" + call.url.split("/model/")[1]
    wrote = json.loads(out.body)
    assert (wrote, out.dropped) == (sent, ())


def told_vectors(told: dict[str, Any]) -> list[list[float]]:
    given: Any = told["embeddings"] if "embeddings" in told else [told["embedding"]]
    if isinstance(given, dict):
        return cast(dict[str, Any], given)["float"]
    return [each["embedding"] if isinstance(each, dict) else each for each in given]


def embedding(sent: dict[str, Any]) -> EmbeddingRequest:
    """A recorded request in neutral words."""
    nova: dict[str, Any] = sent.get("singleEmbeddingParams", {})
    purposes = {
        "search_query": InputType.QUERY,
        "search_document": InputType.DOCUMENT,
        "classification": InputType.CLASSIFICATION,
        "GENERIC_INDEX": InputType.DOCUMENT,
        "GENERIC_RETRIEVAL": InputType.QUERY,
    }
    text: dict[str, Any] = nova.get("text", {})
    truncate = sent.get("truncate") or text.get("truncationMode")
    return EmbeddingRequest(
        model="m",
        inputs=tuple(sent.get("texts") or [sent.get("inputText") or text["value"]]),
        dimensions=sent.get("dimensions") or sent.get("output_dimension") or nova.get("embeddingDimension"),
        input_type=purposes.get(sent.get("input_type") or nova.get("embeddingPurpose") or ""),
        truncate=Truncate(truncate.lower()) if truncate else None,
        rest={
            name: Raw(json.dumps(sent[name]).encode()) for name in ("normalize", "max_tokens") if name in sent
        },
    )


# ---- requests


def asked_for(call: Recorded) -> tuple[dict[str, Any], ChatRequest] | None:
    """A recorded request, and the same in neutral words; None where it is no JSON object."""
    try:
        sent = json.loads(call.asked)
    except ValueError:
        return None
    return sent, neutral(sent, maker(model_of(call)), stream=call.url.endswith("-stream"))


def test_recorded_requests_are_written_as_they_were_sent() -> None:
    """Each one read as neutral words comes out as it was, and as botocore's own shapes want it."""
    recorded = [*whole_calls(), *streams(), *calls("bedrock", path_contains="/converse", status=400)]
    count = 0
    for call in recorded:
        found = asked_for(call)
        if found is None:
            continue
        request_returns(call, *found)
        count += 1
    assert count == 161


def request_returns(call: Recorded, sent: dict[str, Any], asked: ChatRequest) -> None:
    model = model_of(call)
    out = BedrockChat().request(asked, model=model, card=CARD)
    assert out.dropped == (), call.label
    assert unquote(out.path) == "/model/" + unquote(call.url.split("/model/")[1])
    assert json.loads(out.body) == merged(cleaned(sent)), call.label
    check_request(out.body, model, "ConverseStream" if asked.stream else "Converse")
