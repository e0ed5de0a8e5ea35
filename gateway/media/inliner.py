"""Inliner: puts the bytes of what a conversation shows in place of their addresses, for targets that take only bytes.

Pictures that came as bytes are looked at too: what is none is refused here, with the field's name, and not by a
provider in words nobody understands.
"""

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from gateway.media.fetcher import Fetched
from gateway.media.picture import image_type, media_type
from inference.ir.chat import ChatRequest, Message
from inference.ir.content import Audio, File, Image, Part, Source, ToolResult, Video
from inference.ir.errors import InvalidField

Shown = Image | Audio | Video | File
_SHOWN = (Image, Audio, Video, File)
"""The same, for a look at every part of every conversation: a tuple is looked through ten times as fast."""
Wants = Callable[[Shown], bool]
"""Whether a target wants the bytes of a part that is given by its address."""
MOST_FETCHES = 16
"""Addresses followed for one request."""


class Fetches(Protocol):
    """Follows addresses: a Fetcher."""

    async def fetch(self, url: str, *, param: str) -> Fetched: ...


def check_pictures(asked: ChatRequest) -> bool:
    """Whether anything is shown at all. Raises InvalidField for bytes that are no base64, or no picture."""
    shown = _shown(asked)
    for path, part in shown:
        source = part.source
        if isinstance(part, Image) and source is not None and source.data is not None:
            image_type(_bytes(source.data, path), param=path)
    return bool(shown)


def addresses(asked: ChatRequest, wants: Wants) -> bool:
    """Whether anything has to be fetched for a target."""
    return any(_wanted(part, wants) for _, part in _shown(asked))


async def inlined(asked: ChatRequest, wants: Wants, fetcher: Fetches) -> ChatRequest:
    """The request with bytes for addresses. Raises InvalidField as the fetcher does, and for what is no picture."""
    found: dict[str, Source] = {}
    for path, part in _shown(asked):
        url = part.source.url if part.source is not None and _wanted(part, wants) else None
        if url is None or url in found:
            continue
        if len(found) == MOST_FETCHES:
            raise InvalidField(
                f"The request shows more than {MOST_FETCHES} files by their addresses, and this model takes only "
                "bytes. Send them as data: URLs.",
                param=path,
                code="too_many_media",
            )
        fetched = await fetcher.fetch(url, param=path)
        named = fetched.content_type or None
        kind = (
            image_type(fetched.data, param=path)
            if isinstance(part, Image)
            else media_type(fetched.data) or named
        )
        found[url] = Source(data=base64.b64encode(fetched.data).decode(), media_type=kind)
    return msgspec.structs.replace(
        asked, messages=tuple(_message(message, wants, found) for message in asked.messages)
    )


def _wanted(part: Shown, wants: Wants) -> bool:
    return part.source is not None and part.source.url is not None and wants(part)


def _shown(asked: ChatRequest) -> Sequence[tuple[str, Shown]]:
    """Everything that is shown, with its place."""
    found: list[tuple[str, Shown]] = []
    for number, message in enumerate(asked.messages):
        for place, part in enumerate(message.parts):
            if isinstance(part, _SHOWN):
                found.append((f"messages[{number}].content[{place}]", part))
            elif isinstance(part, ToolResult):
                found += [
                    (f"messages[{number}].content[{place}].content[{inner}]", each)
                    for inner, each in enumerate(part.content)
                    if isinstance(each, _SHOWN)
                ]
    return found


def _message(message: Message, wants: Wants, found: dict[str, Source]) -> Message:
    parts = tuple(_part(part, wants, found) for part in message.parts)
    return message if parts == message.parts else msgspec.structs.replace(message, parts=parts)


def _part(part: Part, wants: Wants, found: dict[str, Source]) -> Part:
    if isinstance(part, ToolResult):
        content = tuple(_part(each, wants, found) for each in part.content)
        return part if content == part.content else msgspec.structs.replace(part, content=content)
    if isinstance(part, Shown) and part.source is not None and _wanted(part, wants):
        return msgspec.structs.replace(part, source=found[part.source.url or ""])
    return part


def _bytes(data: str, param: str) -> bytes:
    try:
        return base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidField(f"What `{param}` holds is no base64.", param=param, code="invalid_image") from None
