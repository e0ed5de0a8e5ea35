"""What a chat asks of a model, in the words of OpenAI's clients and their kin. Pure."""

from collections.abc import Iterator

import msgspec
from msgspec import Raw, Struct

from gateway.dialects.hints import listed
from gateway.dialects.needs import Array, file_needed, items, read, starts, thinks
from inference.ir.need import Need

_PARTS = {
    "input_audio": "audio_input",
    "audio_url": "audio_input",
    "video_url": "video_input",
    "input_video": "video_input",
    "image_url": "vision",
    "input_image": "vision",
    "image": "vision",
}


class _Asked(Struct):
    messages: Raw = Raw()
    tools: Raw = Raw()
    functions: Raw = Raw()
    response_format: Raw = Raw()
    reasoning_effort: Raw = Raw()
    reasoning: Raw = Raw()
    thinking: Raw = Raw()
    logprobs: Raw = Raw()
    top_logprobs: Raw = Raw()
    modalities: Raw = Raw()


class _Message(Struct):
    content: Raw = Raw()


class _File(Struct):
    filename: str | None = None
    file_data: str | None = None


class _Part(Struct):
    type: str = ""
    file: _File | None = None


class _Reasoning(Struct):
    effort: str | None = None
    max_tokens: int | None = None
    enabled: bool | None = None


class _Typed(Struct):
    type: str = ""


_asked = msgspec.json.Decoder(_Asked)
_messages = Array(_Message)
_part = msgspec.json.Decoder(_Part)
_reasoning = msgspec.json.Decoder(_Reasoning)
_typed = msgspec.json.Decoder(_Typed)
_text = msgspec.json.Decoder(str)
_texts = msgspec.json.Decoder(list[str])


def needs(body: bytes) -> Iterator[Need]:
    """Of a request whose JSON has been read before."""
    asked = _asked.decode(body)
    for name, given in (("tools", asked.tools), ("functions", asked.functions)):
        if listed(given):
            yield Need(capability="tools", param=name)
    for at, message in enumerate(_messages.read(asked.messages)):
        if message is None or not starts(message.content, b"["):
            continue
        for part, place in items(message.content, f"messages[{at}].content"):
            capability = part_needs(part)
            if capability is not None:
                yield Need(capability=capability, param=place)
    if format_needs(asked.response_format):
        yield Need(capability="json_schema", param="response_format")
    yield from _thinking(asked)
    for name, given in (("logprobs", asked.logprobs), ("top_logprobs", asked.top_logprobs)):
        if given and bytes(given) not in (b"null", b"false", b"0"):
            yield Need(capability="logprobs", param=name)
    if "audio" in (read(_texts, asked.modalities) or ()):
        yield Need(capability="audio_output", param="modalities")


def part_needs(raw: Raw) -> str | None:
    """What one part of a message needs."""
    part = read(_part, raw)
    if part is None:
        return None
    if part.type == "file" and part.file is not None:
        return file_needed(part.file.filename, part.file.file_data)
    return _PARTS.get(part.type)


def format_needs(form: Raw) -> bool:
    """Whether a format is a schema. That an answer is JSON of any shape needs nothing: every model can be told so."""
    found = read(_typed, form)
    return found is not None and found.type == "json_schema"


def _thinking(asked: _Asked) -> Iterator[Need]:
    """OpenAI's `reasoning_effort`, OpenRouter's `reasoning` and the `thinking` of DeepSeek, z.ai and others."""
    if thinks(read(_text, asked.reasoning_effort)):
        yield Need(capability="reasoning", param="reasoning_effort")
    router = read(_reasoning, asked.reasoning)
    if (
        router is not None
        and router.enabled is not False
        and (router.enabled or router.max_tokens or thinks(router.effort))
    ):
        yield Need(capability="reasoning", param="reasoning")
    mode = read(_typed, asked.thinking)
    if mode is not None and mode.type in ("enabled", "adaptive"):
        yield Need(capability="reasoning", param="thinking")
