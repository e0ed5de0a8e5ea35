"""Shown: what a request shows, wherever in a conversation it stands and in whichever dialect. Pure.

Found by the names of fields, as the servers do that will follow them, and not by a dialect's grammar: what a dialect
does not know, a server behind it may. What tools are told and answer as free JSON is theirs, and not looked into.
"""

import json
import re
from collections.abc import Iterator
from typing import Any, cast

import msgspec
from msgspec import Struct

from inference.codecs.body import decode_fields
from inference.ir.errors import InvalidField, InvalidJSON

_SPOKEN = (
    "messages",
    "input",
    "instructions",
    "system",
    "contents",
    "systemInstruction",
    "system_instruction",
    "generateContentRequest",
    "generate_content_request",
)
_RANKED = ("query", "documents")
"""What is ranked may be parts of a conversation (vLLM's way); else it is anybody's own object, and free."""
_FREE = frozenset(
    {
        "args",
        "arguments",
        "parameters",
        "parametersJsonSchema",
        "parameters_json_schema",
        "response",
        "schema",
        "input_schema",
        "responseSchema",
        "responseJsonSchema",
    }
)
_WEB = re.compile(r"\s*https?:", re.IGNORECASE)
"""How an address begins that stands where bytes might: some servers take either."""
_PICTURES = ("image/", "application/octet-stream")
_any = msgspec.json.Decoder()


class Shown(Struct, frozen=True):
    """One thing that is shown: by its address, or, where it is a picture, the base64 of its bytes. `param` is where."""

    param: str
    url: str | None = None
    picture: str | None = None


def shown(body: bytes) -> Iterator[Shown]:
    """All of it, in its order. Raises InvalidJSON, or InvalidField for a `data:` URL that is none."""
    fields = decode_fields(body)
    for name in _SPOKEN:
        raw = fields.get(name)
        if raw is not None and bytes(memoryview(raw)[:1]) in (b"[", b"{"):
            yield from _within(_read(raw), name)
    for name in _RANKED:
        raw = fields.get(name)
        if raw is not None and bytes(memoryview(raw)[:1]) in (b"[", b"{"):
            yield from _ranked(_read(raw), name)


def _ranked(value: object, name: str) -> Iterator[Shown]:
    several = isinstance(value, list)
    for number, each in enumerate(cast(list[object], value) if several else [value]):
        at = f"{name}[{number}]" if several else name
        if isinstance(each, dict):
            part = cast(dict[str, Any], each)
            if isinstance(part.get("content"), list):
                yield from _within(part["content"], f"{at}.content")
            elif isinstance(part.get("type"), str):
                yield from _of(part, at)


def _read(raw: msgspec.Raw) -> object:
    try:
        return _any.decode(raw)
    except msgspec.DecodeError:
        pass
    except RecursionError:
        raise InvalidJSON("The request body is not valid JSON: it is nested too deeply.") from None
    try:
        return json.loads(bytes(raw), parse_int=float)  # numbers too large for us, which hide nothing
    except (ValueError, RecursionError):
        raise InvalidJSON("The request body is not valid JSON.") from None


def _within(value: object, name: str) -> Iterator[Shown]:
    waiting: list[tuple[object, str]] = [(value, name)]
    while waiting:
        here, at = waiting.pop()
        inner: list[tuple[object, str]] = []
        if isinstance(here, list):
            inner = [(each, f"{at}[{n}]") for n, each in enumerate(cast(list[object], here))]
        elif isinstance(here, dict):
            part = cast(dict[str, Any], here)
            yield from _of(part, at)
            inner = [(each, f"{at}.{key}") for key, each in part.items() if key not in _FREE]
            if isinstance(part.get("input"), dict):  # of a call
                inner = [each for each in inner if each[1] != f"{at}.input"]
        waiting += [each for each in reversed(inner) if isinstance(each[0], (dict, list))]


def _of(part: dict[str, Any], at: str) -> Iterator[Shown]:
    """What one object shows by itself."""
    for key, value in part.items():
        match key:
            case "image_url":
                yield from _named(_url(value), at, picture=True)
            case "source" if isinstance(value, dict):
                source = cast(dict[str, Any], value)
                yield from _named(_text(source.get("url")), at)
                if part.get("type") == "image":
                    yield from _bytes(source.get("data"), at)
            case "inlineData" | "inline_data" if isinstance(value, dict):
                data = cast(dict[str, Any], value)
                if str(data.get("mimeType", data.get("mime_type", ""))).lower().startswith("image/"):
                    yield from _bytes(data.get("data"), at)
            case "fileData" | "file_data" if isinstance(value, dict):
                data = cast(dict[str, Any], value)
                yield from _named(_text(data.get("fileUri", data.get("file_uri"))), at)
            case "file_data" | "data" if isinstance(value, str):
                if _WEB.match(value):
                    yield from _named(value, at)
            case _ if key.endswith("_url"):
                yield from _named(_url(value), at)
            case _:
                pass


def _named(url: str | None, at: str, *, picture: bool = False) -> Iterator[Shown]:
    if not url:
        return
    if url[:5].lower() != "data:":
        yield Shown(at, url=url)
    elif picture:
        head, _, data = url[5:].partition(",")
        kind, marked, _ = head.lower().partition(";base64")
        if not kind or kind.startswith(_PICTURES):
            if not marked or not data:
                raise InvalidField(
                    f"Invalid value for `{at}`: a `data:` URL reads `data:image/png;base64,...`.", param=at
                )
            yield Shown(at, picture=data)


def _bytes(data: object, at: str) -> Iterator[Shown]:
    if isinstance(data, str):
        yield Shown(at, picture=data)


def _url(value: object) -> str | None:
    """An address as it is, or under `url`, where most have it."""
    return _text(cast(dict[str, Any], value).get("url")) if isinstance(value, dict) else _text(value)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
