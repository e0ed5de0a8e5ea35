"""What a message of Anthropic's dialect asks of a model. Pure.

An effort alone (`output_config.effort`) is about all that is said, thoughts or not, so it needs nothing.
"""

from collections.abc import Iterator

import msgspec
from msgspec import Raw, Struct

from gateway.dialects.hints import listed
from gateway.dialects.needs import Array, kind_needed, read, starts
from inference.ir.need import Need

_FORM = "json_schema"


class _Asked(Struct):
    messages: Raw = Raw()
    tools: Raw = Raw()
    thinking: Raw = Raw()
    output_config: Raw = Raw()
    output_format: Raw = Raw()


class _Message(Struct):
    content: Raw = Raw()


class _Source(Struct):
    type: str = ""
    media_type: str | None = None
    content: Raw = Raw()


class _Block(Struct):
    type: str = ""
    source: _Source | None = None
    content: Raw = Raw()


class _Typed(Struct):
    type: str = ""


class _Config(Struct):
    format: _Typed | None = None


_asked = msgspec.json.Decoder(_Asked)
_messages = Array(_Message)
_block = msgspec.json.Decoder(_Block)
_typed = msgspec.json.Decoder(_Typed)
_config = msgspec.json.Decoder(_Config)
_items = msgspec.json.Decoder(list[Raw])


def needs(body: bytes) -> Iterator[Need]:
    """Of a request whose JSON has been read before. Paths are written as Anthropic writes them."""
    asked = _asked.decode(body)
    if listed(asked.tools):
        yield Need(capability="tools", param="tools")
    for at, message in enumerate(_messages.read(asked.messages)):
        if message is not None and starts(message.content, b"["):
            yield from _content(message.content, f"messages.{at}.content")
    mode = read(_typed, asked.thinking)
    if mode is not None and mode.type in ("enabled", "adaptive"):
        yield Need(capability="reasoning", param="thinking")
        if mode.type == "adaptive":
            yield Need(capability="adaptive_thinking", param="thinking", native=True)
    config, older = read(_config, asked.output_config), read(_typed, asked.output_format)
    if config is not None and config.format is not None and config.format.type == _FORM:
        yield Need(capability=_FORM, param="output_config.format")
    if older is not None and older.type == _FORM:
        yield Need(capability=_FORM, param="output_format")


def _content(raw: Raw, path: str) -> Iterator[Need]:
    for each, place in _items_of(raw, path):
        block = read(_block, each)
        if block is None:
            continue
        if block.type == "image":
            yield Need(capability="vision", param=place)
        elif block.type == "document" and block.source is not None:
            capability = _document(block.source)
            if capability is not None:
                yield Need(capability=capability, param=place)
            yield from _content(block.source.content, f"{place}.source.content")
        elif block.type == "tool_result":
            yield from _content(block.content, f"{place}.content")


def _document(source: _Source) -> str | None:
    """A document's address is that of a PDF: Anthropic fetches no others. Of an upload only Anthropic knows."""
    return "pdf_input" if source.type == "url" else kind_needed(source.media_type)


def _items_of(raw: Raw, path: str) -> Iterator[tuple[Raw, str]]:
    if starts(raw, b"["):
        for at, item in enumerate(read(_items, raw) or ()):
            yield item, f"{path}.{at}"
