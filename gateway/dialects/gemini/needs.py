"""What generateContent asks of a model, in either of Google's spellings. Pure."""

from collections.abc import Iterator

import msgspec
from msgspec import Raw, Struct

from gateway.dialects.hints import listed
from gateway.dialects.needs import file_needed, held, kind_needed, read
from inference.codecs.gemini.spelling import camel
from inference.ir.need import Need

_LITTLE = ("THINKING_LEVEL_UNSPECIFIED", "MINIMAL")


class _Asked(Struct, rename="camel"):
    contents: Raw = Raw()
    tools: Raw = Raw()
    generation_config: Raw = Raw()


class _Content(Struct):
    parts: Raw = Raw()


class _Data(Struct, rename="camel"):
    mime_type: str | None = None
    file_uri: str | None = None


class _Answer(Struct):
    parts: Raw = Raw()


class _Part(Struct, rename="camel"):
    inline_data: _Data | None = None
    file_data: _Data | None = None
    function_response: _Answer | None = None


class _Thinking(Struct, rename="camel"):
    thinking_budget: int | None = None
    thinking_level: str | None = None


class _Config(Struct, rename="camel"):
    thinking_config: _Thinking | None = None
    response_schema: Raw = Raw()
    response_json_schema: Raw = Raw()
    response_logprobs: bool | None = None
    response_modalities: Raw = Raw()


_asked = msgspec.json.Decoder(_Asked)
_content = msgspec.json.Decoder(_Content)
_part = msgspec.json.Decoder(_Part)
_config = msgspec.json.Decoder(_Config)
_texts = msgspec.json.Decoder(list[str])
_text = msgspec.json.Decoder(str)


def needs(body: bytes) -> Iterator[Need]:
    """Of a request whose JSON has been read before. Paths are in camelCase, as Google documents them."""
    asked = read(_asked, camel(body))
    if asked is None:
        return
    if listed(asked.tools):
        yield Need(capability="tools", param="tools")
    for raw, path in held(asked.contents, "contents"):
        content = read(_content, raw)
        if content is not None:
            yield from _parts(content.parts, f"{path}.parts")
    config = read(_config, asked.generation_config)
    if config is not None:
        yield from _configured(config)


def _parts(raw: Raw, path: str) -> Iterator[Need]:
    for each, place in held(raw, path):
        part = read(_part, each)
        if part is None:
            continue
        for name, data in (("inlineData", part.inline_data), ("fileData", part.file_data)):
            capability = _medium(data)
            if capability is not None:
                yield Need(capability=capability, param=f"{place}.{name}")
        if part.function_response is not None:
            yield from _parts(part.function_response.parts, f"{place}.functionResponse.parts")


def _medium(data: _Data | None) -> str | None:
    if data is None:
        return None
    address = data.file_uri or ""
    if not data.mime_type and ("youtube.com/" in address or "youtu.be/" in address):
        return "video_input"
    return kind_needed(data.mime_type) or (file_needed(None, None, address) if not data.mime_type else None)


def _configured(config: _Config) -> Iterator[Need]:
    at = "generationConfig"
    thinking = config.thinking_config
    if thinking is not None:
        if thinking.thinking_budget:
            yield Need(capability="reasoning", param=f"{at}.thinkingConfig.thinkingBudget")
        if thinking.thinking_level and thinking.thinking_level.upper() not in _LITTLE:
            yield Need(capability="reasoning", param=f"{at}.thinkingConfig.thinkingLevel")
    for name, given in (
        ("responseSchema", config.response_schema),
        ("responseJsonSchema", config.response_json_schema),
    ):
        if given and bytes(given) != b"null":
            yield Need(capability="json_schema", param=f"{at}.{name}")
    if config.response_logprobs:
        yield Need(capability="logprobs", param=f"{at}.responseLogprobs")
    modalities = read(_texts, config.response_modalities) or [read(_text, config.response_modalities) or ""]
    if any(word.upper() == "AUDIO" for word in modalities):
        yield Need(capability="audio_output", param=f"{at}.responseModalities")
