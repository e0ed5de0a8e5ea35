"""A whole answer of Anthropic's in neutral words. Pure.

(https://docs.anthropic.com/en/api/messages)
"""

import msgspec
from msgspec import Raw, Struct

from inference.codecs.anthropic.fields import DottedFields
from inference.codecs.anthropic.reading import heard_block, read_block
from inference.codecs.anthropic.usage import read_reported, usage_of
from inference.ir.completion import Choice, Completion, Finish
from inference.ir.content import Family, Part, Rest, Text, ToolCall
from inference.ir.errors import InvalidField, UpstreamGarbled
from inference.ir.usage import NO_USAGE
from inference.providers.anthropic.chat_plain import read_plain
from inference.providers.anthropic.tools import ANSWER_TOOL

FINISHES = {
    "end_turn": Finish.STOP,
    "stop_sequence": Finish.STOP,
    "max_tokens": Finish.LENGTH,
    "tool_use": Finish.TOOL_CALLS,
    "pause_turn": Finish.PAUSE,
    "refusal": Finish.REFUSAL,
    "model_context_window_exceeded": Finish.CONTEXT,
}
_fields = msgspec.json.Decoder(dict[str, Raw])
_list = msgspec.json.Decoder(list[Raw])


class _Details(Struct):
    explanation: str | None = None


_details = msgspec.json.Decoder(_Details | None)


def explained(rest: Rest) -> str | None:
    """What `stop_details` say of a refusal, for a reader; None where they say nothing."""
    try:
        details = _details.decode(rest.get("stop_details", b"null"))
    except msgspec.DecodeError:
        return None
    return None if details is None else details.explanation or None


def read_completion(body: bytes) -> Completion:
    """Raises UpstreamGarbled for what is no message of Anthropic's."""
    return read_plain(body) or read_any(body)


def read_any(body: bytes) -> Completion:
    """The same block by block, whatever there is in it."""
    try:
        return _message(DottedFields(_fields.decode(body)))
    except (msgspec.DecodeError, RecursionError):
        raise UpstreamGarbled("The upstream's answer is not valid JSON.") from None
    except InvalidField as wrong:
        raise UpstreamGarbled(f"The upstream's answer is no message: {wrong}.") from None


def _message(fields: DottedFields) -> Completion:
    if fields.text("type") not in (None, "message"):
        raise fields.wrong("type", "expected `message`")
    fields.raw("role")
    content = fields.raw("content")
    if content is None or bytes(content)[:1] != b"[":
        raise fields.wrong("content", "expected an array of content blocks")
    fields.keep("content", content)
    parts = _parts(fields, content)
    usage = fields.raw("usage")
    reported = None if usage is None else read_reported(usage)
    native, stop = fields.text("stop_reason"), fields.text("stop_sequence")
    finish = None if native is None else FINISHES.get(native, Finish.OTHER)
    answered = [part for part in parts if isinstance(part, ToolCall) and part.name == ANSWER_TOOL]
    if answered:
        parts = [_as_text(part) for part in parts]
        if finish is Finish.TOOL_CALLS and not any(isinstance(part, ToolCall) for part in parts):
            finish = Finish.STOP
    name, model, rest = fields.text("id"), fields.text("model"), fields.rest()
    choice = Choice(
        parts=tuple(parts),
        finish=finish,
        native=native,
        stop_sequence=stop,
        explanation=explained(rest) if finish is Finish.REFUSAL else None,
    )
    return Completion(
        family=Family.ANTHROPIC,
        id=name,
        model=model,
        choices=(choice,),
        usage=NO_USAGE if reported is None else usage_of(reported),
        service_tier=None if reported is None else reported.service_tier,
        rest=rest,
    )


def _parts(fields: DottedFields, content: Raw) -> list[Part]:
    """The blocks; where one is not as it has to be, the others are still an answer."""
    try:
        return [read_block(block) for block in fields.inners("content")]
    except InvalidField:
        return [part for each in _list.decode(content) if (part := _heard(each)) is not None]


def _heard(raw: Raw) -> Part | None:
    try:
        return read_block(DottedFields.of(raw, "content"))
    except InvalidField:
        return heard_block(raw)


def _as_text(part: Part) -> Part:
    """A structured answer, which was asked for as a tool's call."""
    if isinstance(part, ToolCall) and part.name == ANSWER_TOOL:
        return Text(text=part.arguments)
    return part
