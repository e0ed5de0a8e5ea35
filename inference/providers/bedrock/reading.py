"""Content blocks of Converse as parts, in answers and conversations alike. Pure.

A block is an object of one field, whose name says what it is; one of no known name is kept as it is.
(https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ContentBlock.html)
"""

import base64
import binascii

import msgspec
from msgspec import Raw, Struct

from inference.ir.content import Citation, Family, Image, Opaque, Part, Reasoning, Source, Text, ToolCall
from inference.providers.bedrock.naming import Maker

SERVER_TOOL = "server_tool_use"
"""The type of a call that Bedrock answers itself."""
_NULL = Raw(b"null")


class _Call(Struct, rename="camel"):
    tool_use_id: str
    name: str
    input: Raw = _NULL
    type: str | None = None


class _Thought(Struct, frozen=True):
    text: str = ""
    signature: str | None = None


class _Thinking(Struct, rename="camel"):
    reasoning_text: _Thought | None = None
    redacted_content: str | None = None


class _Words(Struct, frozen=True):
    text: str | None = None


class _Web(Struct, frozen=True):
    url: str | None = None


class _Location(Struct, frozen=True):
    web: _Web | None = None


class _Citation(Struct, rename="camel"):
    title: str | None = None
    source: str | None = None
    source_content: list[_Words] = []
    location: _Location = _Location()


class _Cited(Struct):
    content: list[_Words] = []
    citations: list[Raw] = []


class _Bytes(Struct, frozen=True):
    bytes: str | None = None


class _Picture(Struct):
    format: str
    source: _Bytes = _Bytes()


_text = msgspec.json.Decoder(str)
_call = msgspec.json.Decoder(_Call)
_thinking = msgspec.json.Decoder(_Thinking)
_cited = msgspec.json.Decoder(_Cited)
_citation = msgspec.json.Decoder(_Citation)
_picture = msgspec.json.Decoder(_Picture)


def issuer_of(made_by: Maker) -> Family:
    """Who reads a model's signatures: Claude's are the same at Bedrock and at Anthropic itself."""
    return Family.ANTHROPIC if made_by is Maker.CLAUDE else Family.BEDROCK


def read_block(block: dict[str, Raw], made_by: Maker) -> Part:
    """Raises msgspec.DecodeError for a known block in a shape that it never has."""
    kind = next(iter(block), "")
    given = block.get(kind, _NULL)
    match kind:
        case "text":
            return Text(text=_text.decode(given))
        case "toolUse":
            call = _call.decode(given)
            if call.type != SERVER_TOOL:
                return ToolCall(id=call.tool_use_id, name=call.name, arguments=_written(call.input))
        case "reasoningContent":
            return _reasoning(_thinking.decode(given), made_by)
        case "citationsContent":
            cited = _cited.decode(given)
            text = "".join(each.text or "" for each in cited.content)
            return Text(text=text, citations=tuple(read_citation(each) for each in cited.citations))
        case "image":
            picture = _picture.decode(given)
            if picture.source.bytes is not None:
                return image(picture.source.bytes, picture.format)
        case _:
            pass
    return Opaque(family=Family.BEDROCK, kind=kind, raw=Raw(msgspec.json.encode(block)))


def image(data: str, kind: str) -> Image:
    """A picture by value; `kind` is the end of its media type."""
    return Image(source=Source(data=data, media_type=f"image/{kind}"))


def read_citation(given: Raw) -> Citation:
    """Raises msgspec.DecodeError."""
    cited = _citation.decode(given)
    web = cited.location.web
    return Citation(
        url=web.url if web is not None else None,
        title=cited.title or cited.source,
        cited="".join(each.text or "" for each in cited.source_content) or None,
        family=Family.BEDROCK,
        raw=given.copy(),
    )


def redacted(data: str, made_by: Maker) -> str:
    """Thought that is not shown. Claude's is a text at Anthropic, and here the bytes of that text."""
    if made_by is not Maker.CLAUDE:
        return data
    try:
        return base64.b64decode(data, validate=True).decode("ascii")
    except (binascii.Error, UnicodeDecodeError):
        return data


def _reasoning(thinking: _Thinking, made_by: Maker) -> Reasoning:
    if thinking.redacted_content is not None:
        hidden = redacted(thinking.redacted_content, made_by)
        return Reasoning(redacted=hidden, issuer=issuer_of(made_by))
    thought = thinking.reasoning_text or _Thought()
    signature = thought.signature or None
    return Reasoning(
        text=thought.text,
        signature=signature,
        issuer=issuer_of(made_by) if signature is not None else None,
    )


def _written(given: Raw) -> str:
    """A call's input as it was written; an empty object where there is none."""
    return "{}" if given == _NULL else bytes(given).decode()
