"""What a request for a response asks of a model. Pure."""

from collections.abc import Iterator

import msgspec
from msgspec import Raw, Struct

from gateway.dialects.hints import listed
from gateway.dialects.needs import Array, file_needed, held, read, starts, thinks
from gateway.dialects.openai_chat.needs import format_needs
from inference.ir.need import Need

_PARTS = {
    "input_image": "vision",
    "input_audio": "audio_input",
    "input_video": "video_input",
    "computer_screenshot": "vision",
}
_LOGGED = "message.output_text.logprobs"


class _Asked(Struct):
    input: Raw = Raw()
    tools: Raw = Raw()
    text: Raw = Raw()
    reasoning: Raw = Raw()
    include: Raw = Raw()
    top_logprobs: Raw = Raw()


class _Item(Struct):
    content: Raw = Raw()
    output: Raw = Raw()


class _Part(Struct):
    type: str = ""
    filename: str | None = None
    file_data: str | None = None
    file_url: str | None = None


class _Text(Struct):
    format: Raw = Raw()


class _Reasoning(Struct):
    effort: str | None = None
    summary: str | None = None


_asked = msgspec.json.Decoder(_Asked)
_items = Array(_Item)
_part = msgspec.json.Decoder(_Part)
_text = msgspec.json.Decoder(_Text)
_reasoning = msgspec.json.Decoder(_Reasoning)
_texts = msgspec.json.Decoder(list[str])


def needs(body: bytes) -> Iterator[Need]:
    """Of a request whose JSON has been read before."""
    asked = _asked.decode(body)
    if listed(asked.tools):
        yield Need(capability="tools", param="tools")
    for at, item in enumerate(_items.read(asked.input)):
        if item is None:
            continue
        for name, given in (("content", item.content), ("output", item.output)):
            if not given or starts(given, b'"'):
                continue
            for part, place in held(given, f"input[{at}].{name}"):  # a screenshot is an output by itself
                capability = _part_needs(part)
                if capability is not None:
                    yield Need(capability=capability, param=place)
    text = read(_text, asked.text)
    if text is not None and format_needs(text.format):
        yield Need(capability="json_schema", param="text.format")
    reasoning = read(_reasoning, asked.reasoning)
    if reasoning is not None and (
        thinks(reasoning.effort) or (reasoning.summary and reasoning.effort is None)
    ):
        yield Need(
            capability="reasoning", param="reasoning.effort" if reasoning.effort else "reasoning.summary"
        )
    if _LOGGED in (read(_texts, asked.include) or ()):
        yield Need(capability="logprobs", param="include")
    if asked.top_logprobs and bytes(asked.top_logprobs) not in (b"null", b"0"):
        yield Need(capability="logprobs", param="top_logprobs")


def _part_needs(raw: Raw) -> str | None:
    part = read(_part, raw)
    if part is None:
        return None
    if part.type == "input_file":
        return file_needed(part.filename, part.file_data, part.file_url)
    return _PARTS.get(part.type)
