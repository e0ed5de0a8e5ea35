"""The functions of generateContent and their answers, as far as they must be right whoever serves it. Pure."""

from collections.abc import Iterator

import msgspec
from msgspec import Raw, Struct

from gateway.dialects.needs import items, read
from gateway.dialects.tool_shapes import NO_CALL, ToolShapes
from inference.codecs.fields import Fields
from inference.codecs.gemini.spelling import camel


class _Asked(Struct, rename="camel"):
    tools: Raw = Raw()
    contents: Raw = Raw()


class _Content(Struct):
    parts: Raw = Raw()


class _Function(Struct):
    name: str | None = None
    id: str | None = None


class _Part(Struct, rename="camel"):
    function_call: _Function | None = None
    function_response: _Function | None = None


_asked = msgspec.json.Decoder(_Asked)
_content = msgspec.json.Decoder(_Content)
_part = msgspec.json.Decoder(_Part)


def check_tools(body: bytes) -> None:
    """Of a request that brings tools, in either spelling. Raises InvalidField."""
    asked = read(_asked, camel(body))
    if asked is None:
        return
    shapes = ToolShapes()
    for raw, path in _each(asked.tools, "tools"):
        for function in Fields.of(raw, path).inners("functionDeclarations"):
            shapes.function(function, "parameters", "parametersJsonSchema")
    _check_answers(asked.contents)


def _check_answers(contents: Raw) -> None:
    called: set[str | None] = set()
    for raw, path in _each(contents, "contents"):
        content = read(_content, raw)
        for each, place in _each(content.parts if content else Raw(), f"{path}.parts"):
            part = read(_part, each)
            if part is None:
                continue
            if part.function_call is not None:
                called |= {part.function_call.name, part.function_call.id}
            answer = part.function_response
            if answer is not None and not {answer.name, answer.id} & (called - {None}):
                raise Fields.fault(
                    f"{place}.functionResponse",
                    f"it answers a call of `{(answer.name or '')[:100]}`, and no such call came before it",
                    NO_CALL,
                )


def _each(raw: Raw, path: str) -> Iterator[tuple[Raw, str]]:
    if raw and bytes(memoryview(raw)[:1]) == b"{":
        yield raw, path
    yield from items(raw, path)
