"""Plain: the answer that most calls get, one choice of text, or of calls of functions, read in one go. Pure.

Whatever else an answer holds (thoughts, several choices, a field of a choice that has no word here) makes it no plain
one; then `chat_completion` reads it field by field. Both read a plain answer alike; this way costs a third, and half
where a server says more of its own beside the choices.
(https://platform.openai.com/docs/api-reference/chat/object)
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Raw, Struct

from inference.ir.completion import Choice, Completion
from inference.ir.content import NO_REST, Family, Part, Rest, Text, ToolCall
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


_MARK = "system_fingerprint"
_READ = frozenset(_Answer.__struct_fields__) - {_MARK}
"""The fields of which nothing is left when an answer is read."""
_answer = msgspec.json.Decoder(_Answer)
_fields = msgspec.json.Decoder(dict[str, Raw])
_encode = msgspec.json.Encoder().encode


def read_plain(body: bytes, family: Family) -> Completion | None:
    """The answer, or None where it is no plain one, or none at all."""
    try:
        said = _answer.decode(body)
    except (msgspec.DecodeError, RecursionError):
        return _with_more(body, family)
    mark = said.system_fingerprint
    return _completion(said, family, NO_REST if is_null(mark) else {_MARK: mark})


def _with_more(body: bytes, family: Family) -> Completion | None:
    """An answer that would be plain but for fields of the server's own beside its choices."""
    try:
        fields = _fields.decode(body)
        more = {name: value for name, value in fields.items() if name not in _READ}
        if "error" in more or (not more.keys() - {_MARK}):
            return None  # whoever reads it field by field finds out what it is
        known = {name: value for name, value in fields.items() if name in _READ}
        said = _answer.decode(_encode(known))
    except (msgspec.DecodeError, RecursionError):
        return None
    return _completion(
        said, family, {name: value for name, value in more.items() if not is_null(value)} or NO_REST
    )


def _completion(said: _Answer, family: Family, rest: Rest) -> Completion:
    found = said.choices[0]
    parts, word = _parts(found.message, said.id), found.finish_reason
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
        rest=rest,
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
