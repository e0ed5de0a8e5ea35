"""A whole answer of Converse, read. Pure.

How long it took (`metrics`) is left out: the gateway measures that itself.
(https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html#API_runtime_Converse_ResponseSyntax)
"""

from typing import TypeGuard

import msgspec
from msgspec import Raw, Struct

from inference.ir.completion import Choice, Completion, Finish, unfinished
from inference.ir.content import NO_REST, Family, Part, Rest, Text, ToolCall
from inference.ir.errors import UpstreamGarbled
from inference.providers.anthropic.tools import ANSWER_TOOL
from inference.providers.bedrock.naming import Maker
from inference.providers.bedrock.reading import read_block
from inference.providers.bedrock.usage import Reported, usage_of

FINISHES = {
    "end_turn": Finish.STOP,
    "stop_sequence": Finish.STOP,
    "tool_use": Finish.TOOL_CALLS,
    "max_tokens": Finish.LENGTH,
    "guardrail_intervened": Finish.FILTER,
    "content_filtered": Finish.FILTER,
    "model_context_window_exceeded": Finish.CONTEXT,
    "malformed_model_output": Finish.ERROR,
    "malformed_tool_use": Finish.ERROR,
    "refusal": Finish.REFUSAL,
}
_NULL = Raw(b"null")


class _Message(Struct):
    content: list[dict[str, Raw]]


class _Output(Struct):
    message: _Message


class Tier(Struct):
    type: str | None = None


class _Answer(Struct, rename="camel"):
    output: _Output
    stop_reason: str | None = None
    usage: Reported | None = None
    service_tier: Tier | None = None
    additional_model_response_fields: Raw = _NULL
    trace: Raw = _NULL
    performance_config: Raw = _NULL


class _More(Struct):
    stop_sequence: str | None = None


_answer = msgspec.json.Decoder(_Answer)
_more = msgspec.json.Decoder(_More)


def read_completion(body: bytes, made_by: Maker) -> Completion:
    """Raises UpstreamGarbled for what is no answer of Converse, UpstreamFailed for one that failed."""
    try:
        answer = _answer.decode(body)
        parts = [read_block(block, made_by) for block in answer.output.message.content]
    except (msgspec.DecodeError, RecursionError):
        raise UpstreamGarbled("The upstream's answer is none of Bedrock's.") from None
    native = answer.stop_reason
    finish = None if native is None else FINISHES.get(native, Finish.OTHER)
    if finish is Finish.ERROR:
        raise unfinished(native)
    if any(_is_answer(part) for part in parts):
        parts = [Text(text=part.arguments) if _is_answer(part) else part for part in parts]
        if finish is Finish.TOOL_CALLS and not any(isinstance(part, ToolCall) for part in parts):
            finish = Finish.STOP
    stop = stopped_at(answer.additional_model_response_fields)
    return Completion(
        family=Family.BEDROCK,
        choices=(Choice(parts=tuple(parts), finish=finish, native=native, stop_sequence=stop),),
        usage=usage_of(answer.usage),
        service_tier=answer.service_tier.type if answer.service_tier is not None else None,
        rest=_rest(answer, stop),
    )


def stopped_at(fields: Raw) -> str | None:
    """Which sequence stopped the answer, where the request asked to be told."""
    try:
        return _more.decode(fields).stop_sequence
    except msgspec.DecodeError:
        return None


def _is_answer(part: Part) -> TypeGuard[ToolCall]:
    """A structured answer, which was asked for as a tool's call."""
    return isinstance(part, ToolCall) and part.name == ANSWER_TOOL


def _rest(answer: _Answer, stop: str | None) -> Rest:
    given = {
        "additionalModelResponseFields": _NULL
        if stop is not None
        else answer.additional_model_response_fields,
        "trace": answer.trace,
        "performanceConfig": answer.performance_config,
    }
    return {name: value.copy() for name, value in given.items() if value != _NULL} or NO_REST
