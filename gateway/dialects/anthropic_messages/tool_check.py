"""The tools of a message and their results, as far as they must be right whoever serves it. Pure."""

from collections.abc import Iterator
from typing import Literal

import msgspec
from msgspec import Raw, Struct

from gateway.dialects.needs import read, starts
from gateway.dialects.tool_shapes import GoodName, GoodSchema, GoodTools, ToolShapes, answered
from inference.codecs.anthropic.fields import DottedFields


class _Block(Struct):
    type: str = ""
    id: str | None = None
    tool_use_id: str | None = None


class _Message(Struct):
    content: Raw = Raw()


class _Tool(Struct):
    name: GoodName
    input_schema: GoodSchema
    type: Literal["custom"] | None = None

    @property
    def good_name(self) -> str:
        return self.name


GOOD = GoodTools(_Tool)
_messages = msgspec.json.Decoder(list[_Message])
_blocks = msgspec.json.Decoder(list[_Block])


def check_tools(tools: Raw, messages: bytes) -> None:
    """Raises InvalidField, its paths as Anthropic writes them."""
    if not GOOD.are(tools):
        check_each(tools)
    if b'"tool_result"' in messages:
        answered(_turns(messages), DottedFields)


def check_each(tools: Raw) -> None:
    """One by one. Raises InvalidField that says what is wrong with which."""
    shapes = ToolShapes()
    for tool in DottedFields.each(tools, "tools"):
        if tool.text("type") in (None, "custom"):
            shapes.function(tool, "input_schema", needs_schema=True)
        elif "name" in tool:
            shapes.name(tool)


def _turns(messages: bytes) -> Iterator[tuple[list[str], Iterator[tuple[str, str]]]]:
    for at, message in enumerate(read(_messages, messages) or ()):
        blocks = read(_blocks, message.content) if starts(message.content, b"[") else None
        if not blocks:
            continue
        calls = [block.id for block in blocks if block.type == "tool_use" and block.id is not None]
        yield (
            calls,
            iter(
                [
                    (block.tool_use_id, f"messages.{at}.content.{place}.tool_use_id")
                    for place, block in enumerate(blocks)
                    if block.type == "tool_result" and block.tool_use_id is not None
                ]
            ),
        )
