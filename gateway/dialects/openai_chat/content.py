"""The parts of a chat message as OpenAI's clients write them, read as neutral ones. Pure.

Takes OpenAI's parts and those that its kin have added: `video_url`, `audio_url`, `cache_control`. A part of any other
type is kept as it came. (https://platform.openai.com/docs/api-reference/chat/create, `messages`)
"""

from collections.abc import Iterator

from msgspec import Raw

from inference.codecs.data_url import read_url
from inference.codecs.fields import Fields
from inference.ir.content import (
    Audio,
    CacheHint,
    Family,
    File,
    Image,
    Opaque,
    Part,
    Refusal,
    Source,
    Text,
    Video,
)

AUDIO_TYPES = {"mp3": "audio/mpeg"}
"""Formats of sound whose media type is not just `audio/<format>`."""


def read_content(message: Fields, name: str = "content") -> Iterator[Part]:
    """The parts of a message's content, which may be a string, an array of parts, or nothing."""
    if message.is_text(name):
        yield Text(text=message.needed(name))
        return
    for number, item in enumerate(message.items(name)):
        yield read_part(item, f"{message.at(name)}[{number}]")


def read_part(item: Raw, path: str) -> Part:
    """One part. Raises InvalidField."""
    part = Fields.of(item, path)
    match kind := part.needed("type"):
        case "text":
            return Text(text=part.needed("text"), cache=read_cache(part), rest=part.rest())
        case "refusal":
            return Refusal(text=part.needed("refusal"))
        case "image_url":
            return _image(part)
        case "input_audio":
            return _audio(part)
        case "audio_url" | "video_url":
            inner = _inner(part, kind)
            source = read_url(inner.needed("url"), inner.at("url"))
            made = Audio if kind == "audio_url" else Video
            return made(source=source, cache=read_cache(part), rest=part.rest())
        case "file":
            return _file(part)
        case _:
            return Opaque(family=Family.OPENAI_CHAT, kind=kind, raw=item)


def read_cache(part: Fields) -> CacheHint | None:
    """Where the client asks for caching in Anthropic's words, which OpenRouter and others take too."""
    hint = part.inner("cache_control")
    if hint is None:
        return None
    ttl = hint.text("ttl")
    return CacheHint.ONE_HOUR if ttl == "1h" else CacheHint.FIVE_MINUTES


def _inner(part: Fields, name: str) -> Fields:
    inner = part.inner(name)
    if inner is None:
        raise part.missing(name)
    return inner


def _image(part: Fields) -> Image:
    if part.is_text("image_url"):
        return Image(
            source=read_url(part.needed("image_url"), part.at("image_url")),
            cache=read_cache(part),
            rest=part.rest(),
        )
    inner = _inner(part, "image_url")
    return Image(
        source=read_url(inner.needed("url"), inner.at("url")),
        detail=inner.text("detail"),
        cache=read_cache(part),
        rest={**part.rest(), **inner.rest("image_url.")},
    )


def _audio(part: Fields) -> Audio:
    inner = _inner(part, "input_audio")
    data, format = inner.needed("data"), inner.text("format")
    return Audio(
        source=Source(data=data, media_type=AUDIO_TYPES.get(format, f"audio/{format}") if format else None),
        cache=read_cache(part),
        rest={**part.rest(), **inner.rest("input_audio.")},
    )


def _file(part: Fields) -> File:
    inner = _inner(part, "file")
    data, file_id = inner.text("file_data"), inner.text("file_id")
    if data is None and file_id is None:
        raise inner.missing("file_data")
    if data is None:
        source = Source(file_id=file_id)
    elif data.startswith(("data:", "http://", "https://")):
        source = read_url(data, inner.at("file_data"))
    else:
        source = Source(data=data)
    return File(
        source=source,
        name=inner.text("filename"),
        cache=read_cache(part),
        rest={**part.rest(), **inner.rest("file.")},
    )
