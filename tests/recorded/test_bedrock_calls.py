"""Recorded calls of Bedrock through our parsers, held against what botocore makes of the same bytes.

Of the 238 recorded calls these are those of Converse (140, and 5 refused), ConverseStream (16, and 1 refused) and of
embeddings by InvokeModel (19). Claude by InvokeModel (17) and CountTokens (7) are in `test_invoke_calls.py`. Not
spoken: InvokeModel with the other makers' own formats (31) and ApplyGuardrail (2).
"""

import json
from collections.abc import Iterator
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
    Format,
    FormatKind,
    Message,
    Role,
    Thinking,
    Tool,
    ToolChoice,
    ToolKind,
    ToolMode,
)
from inference.ir.completion import Completion
from inference.ir.content import (
    CacheHint,
    Family,
    File,
    Image,
    Opaque,
    Part,
    Reasoning,
    Source,
    Text,
    ToolCall,
    ToolResult,
    Video,
)
from inference.ir.embedding import EmbeddingRequest, EmbeddingResult, InputType, Truncate
from inference.ir.errors import UpstreamRefused
from inference.ir.folding import fold
from inference.providers.bedrock import WIRE
from inference.providers.bedrock.chat import BedrockChat
from inference.providers.bedrock.converse_completion import FINISHES
from inference.providers.bedrock.naming import Maker, maker
from inference.providers.bedrock.reading import SERVER_TOOL, read_block
from tests.aws_shapes import PARSER, SERVICE, check_request
from tests.recorded.calls import Recorded, calls, cuts

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


def cleaned(value: Any) -> Any:
    """Without what says nothing: empty lists and objects, `success` of results, the usual choice of tools."""
    if isinstance(value, list):
        return [cleaned(each) for each in cast(list[Any], value)]
    if not isinstance(value, dict):
        return value
    made = {name: cleaned(each) for name, each in cast(dict[str, Any], value).items()}
    if str(made.get("type", "")).startswith("nova_"):
        return made  # what a tool of Bedrock's own answered goes back as it came
    empties: tuple[tuple[str, Any], ...] = (
        ("system", []),
        ("inferenceConfig", {}),
        ("additionalModelRequestFields", {}),
        ("status", "success"),
        ("toolChoice", {"auto": {}}),
    )
    for name, empty in empties:
        if made.get(name) == empty:
            del made[name]
    if made.get("format") == "video/mp4":
        made["format"] = "mp4"  # one client's slip, which Bedrock forgave
    if "toolUseId" in made and made.get("type") == "tool_use":
        del made["type"]
    return made


def merged(sent: dict[str, Any]) -> dict[str, Any]:
    """Turns of one role in a row as one."""
    turns: list[dict[str, Any]] = []
    for turn in sent["messages"]:
        if turns and turns[-1]["role"] == turn["role"]:
            turns[-1]["content"] += turn["content"]
        else:
            turns.append(turn)
    return {**sent, "messages": turns}


def raw(value: Any) -> Raw:
    return Raw(json.dumps(value).encode())


def neutral(sent: dict[str, Any], made_by: Maker, *, stream: bool) -> ChatRequest:
    """Read by hand, for there is no dialect of Converse."""
    config, limits = sent.get("toolConfig", {}), sent.get("inferenceConfig", {})
    fields: dict[str, Any] = dict(sent.get("additionalModelRequestFields", {}))
    thinking, top_k = thought(fields, made_by)
    text: dict[str, Any] = sent.get("outputConfig", {}).get("textFormat", {}).get("structure", {})
    rest = {
        name: raw(sent[name])
        for name in (
            "guardrailConfig",
            "performanceConfig",
            "promptVariables",
            "additionalModelResponseFieldPaths",
        )
        if name in sent
    }
    if fields:
        rest["additionalModelRequestFields"] = raw(fields)
    system = [Message(role=Role.SYSTEM, parts=tuple(parts(sent.get("system", []), made_by)))]
    return ChatRequest(
        model="m",
        family=Family.BEDROCK,
        messages=(
            *(system if system[0].parts else ()),
            *(
                Message(role=Role(each["role"]), parts=tuple(parts(each["content"], made_by)))
                for each in sent["messages"]
            ),
        ),
        tools=tuple(tools(config.get("tools", []))),
        tool_choice=choice(config.get("toolChoice")),
        format=form(text.get("jsonSchema")),
        thinking=thinking,
        max_output=limits.get("maxTokens"),
        temperature=limits.get("temperature"),
        top_p=limits.get("topP"),
        top_k=top_k,
        stop=tuple(limits.get("stopSequences", ())),
        metadata=sent.get("requestMetadata"),
        service_tier=sent.get("serviceTier", {}).get("type"),
        stream=stream,
        rest=rest,
    )


def thought(fields: dict[str, Any], made_by: Maker) -> tuple[Thinking | None, int | None]:
    """What of the model's own fields has neutral words, taken out of them."""
    if made_by is Maker.CLAUDE:
        return None, fields.pop("top_k", None)
    top_k = fields.pop("inferenceConfig", {}).get("topK") if made_by in (Maker.NOVA, Maker.NOVA_2) else None
    effort = fields.pop("reasoning_effort", None) or fields.pop("reasoning_config", None)
    return Thinking(effort=effort) if effort else None, top_k


def parts(content: list[dict[str, Any]], made_by: Maker) -> Iterator[Part]:
    for at, block in enumerate(content):
        following = content[at + 1] if at + 1 < len(content) else {}
        hint = CacheHint.FIVE_MINUTES if following == {"cachePoint": {"type": "default"}} else None
        if block == {"cachePoint": {"type": "default"}} and at:
            continue  # said of the part before
        found = part(block, made_by)
        if hint is not None:
            assert isinstance(found, Text | Image | File | ToolResult)
            found = msgspec.structs.replace(found, cache=hint)
        yield found


def part(block: dict[str, Any], made_by: Maker) -> Part:
    (kind,) = block
    given = block[kind]
    if kind in ("image", "video", "document") and "format" in given:
        source: Any = given["source"]
        held = Source(
            data=source.get("bytes"),
            url=source.get("s3Location", {}).get("uri"),
            media_type=f"{kind}/{given['format'].removeprefix('video/')}",
        )
        if kind == "document":
            return File(source=held, name=given["name"])
        return Image(source=held) if kind == "image" else Video(source=held)
    if kind == "toolResult" and given.get("type", "tool_result") == "tool_result":
        return ToolResult(
            call_id=given["toolUseId"],
            content=tuple(part(each, made_by) for each in given["content"]),  # pyright: ignore[reportArgumentType]  # no others occur
            error=given.get("status") == "error",
        )
    return read_block({name: raw(value) for name, value in block.items()}, made_by)


def tools(given: list[dict[str, Any]]) -> Iterator[Tool]:
    for at, tool in enumerate(given):
        if "toolSpec" in tool:
            spec = tool["toolSpec"]
            marked = at + 1 < len(given) and "cachePoint" in given[at + 1]
            yield Tool(
                name=spec["name"],
                description=spec.get("description"),
                parameters=raw(spec["inputSchema"]["json"]),
                strict=spec.get("strict"),
                cache=CacheHint.FIVE_MINUTES if marked else None,
            )
        elif "cachePoint" not in tool:
            yield Tool(name="own", kind=ToolKind.HOSTED, family=Family.BEDROCK, raw=raw(tool))


def choice(given: dict[str, Any] | None) -> ToolChoice | None:
    if given is None:
        return None
    if "tool" in given:
        return ToolChoice(mode=ToolMode.NAMED, names=(given["tool"]["name"],))
    return ToolChoice(mode=ToolMode.REQUIRED) if "any" in given else ToolChoice()


def form(given: dict[str, Any] | None) -> Format | None:
    if given is None:
        return None
    return Format(
        kind=FormatKind.SCHEMA,
        schema=Raw(given["schema"].encode()),
        name=given.get("name"),
        description=given.get("description"),
    )
