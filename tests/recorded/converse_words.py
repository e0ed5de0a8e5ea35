"""Requests of Bedrock's Converse in neutral words, read by hand: there is no dialect of Converse."""

import json
from collections.abc import Iterator
from typing import Any, cast

import msgspec
from msgspec import Raw

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
from inference.ir.content import (
    CacheHint,
    Family,
    File,
    Image,
    Part,
    Source,
    Text,
    ToolResult,
    Video,
)
from inference.providers.bedrock.naming import Maker
from inference.providers.bedrock.reading import read_block


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
