"""Plain: the answer that most calls get, one choice of text, or of calls of functions, read in one go. Pure.

Whatever else an answer holds (thoughts, several choices, a field we have no word for) makes it no plain one; then
`chat_completion` reads it field by field. Both read a plain answer alike; this way costs a third.
(https://platform.openai.com/docs/api-reference/chat/object)
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Raw, Struct

from inference.ir.completion import Choice, Completion
from inference.ir.content import NO_REST, Family, Part, Text, ToolCall
from inference.ir.usage import NO_USAGE
from inference.providers.openai.chat_answer import call_id, finish_of
from inference.providers.openai.usage import Reported, is_null, usage_of

_NULL = Raw(b"null")
_Nothing = Annotated[list[Raw], Meta(max_length=0)] | None


class _Function(Struct, forbid_unknown_fields=True):
    name: str
    arguments: str


class _Call(Struct, forbid_unknown_fields=True):
    id: str
    function: _Function
    type: str | None = None
    index: int | None = None


class _Message(Struct, forbid_unknown_fields=True):
    """Fields of other types than null or an empty list are those that a plain answer may fill."""

    content: str | None = None
    role: str | None = None
    refusal: None = None
    annotations: _Nothing = None
    tool_calls: list[_Call] | None = None
    function_call: None = None
    audio: None = None
    reasoning: None = None
    reasoning_content: None = None


class _Choice(Struct, forbid_unknown_fields=True):
    """The fields after `logprobs` are vLLM's."""

    message: _Message
    finish_reason: Literal["stop", "length", "tool_calls"]
    index: int = 0
    logprobs: None = None
    stop_reason: None = None
    token_ids: None = None
    routed_experts: None = None


class _Answer(Struct, forbid_unknown_fields=True):
    """The fields after `system_fingerprint` are vLLM's."""

    choices: Annotated[list[_Choice], Meta(min_length=1, max_length=1)]
    id: str | None = None
    object: str | None = None
    created: int | None = None
    model: str | None = None
    usage: Reported | None = None
    service_tier: str | None = None
    system_fingerprint: Raw = _NULL
    prompt_logprobs: None = None
    prompt_token_ids: None = None
    prompt_text: None = None
    kv_transfer_params: None = None
    ec_transfer_params: None = None
    metrics: None = None


_answer = msgspec.json.Decoder(_Answer)


def read_plain(body: bytes, family: Family) -> Completion | None:
    """The answer, or None where it is no plain one, or none at all."""
    try:
        said = _answer.decode(body)
    except (msgspec.DecodeError, RecursionError):
        return None  # whoever reads it field by field finds out what it is
    found = said.choices[0]
    parts = _parts(found.message, said.id)
    word, mark = found.finish_reason, said.system_fingerprint
    called = bool(parts) and isinstance(parts[-1], ToolCall)
    return Completion(
        family=family,
        id=said.id,
        model=said.model,
        created=said.created,
        choices=(
            Choice(
                index=found.index,
                parts=parts,
                finish=finish_of(word, called=called),
                native=word,
            ),
        ),
        usage=NO_USAGE if said.usage is None else usage_of(said.usage),
        service_tier=said.service_tier,
        rest=NO_REST if is_null(mark) else {"system_fingerprint": mark},
    )


def _parts(message: _Message, answer: str | None) -> tuple[Part, ...]:
    texts = (Text(text=message.content),) if message.content else ()
    if not message.tool_calls:
        return texts
    return (*texts, *[_call(call, answer, number) for number, call in enumerate(message.tool_calls)])


def _call(call: _Call, answer: str | None, number: int) -> ToolCall:
    found, inner = call.id, call.function
    return ToolCall(
        id=found if found and found != "null" else call_id(answer, number),
        name=inner.name,
        arguments=inner.arguments or "{}",
    )
