"""Plain: the answer that most calls get, one choice of text with nothing beside it, read in one go. Pure.

Whatever else an answer holds (calls, thoughts, several choices, a field we have no word for) makes it no plain one;
then `chat_completion` reads it field by field. Both read a plain answer alike; this way costs a third.
(https://platform.openai.com/docs/api-reference/chat/object)
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Raw, Struct

from inference.ir.completion import Choice, Completion, Finish
from inference.ir.content import NO_REST, Family, Text
from inference.ir.usage import NO_USAGE
from inference.providers.openai.usage import Reported, is_null, usage_of

_NULL = Raw(b"null")
_Nothing = Annotated[list[Raw], Meta(max_length=0)] | None
_FINISH = {"stop": Finish.STOP, "length": Finish.LENGTH}


class _Message(Struct, forbid_unknown_fields=True):
    """Fields of other types than null or an empty list are those that a plain answer may fill."""

    content: Annotated[str, Meta(min_length=1)]
    role: str | None = None
    refusal: None = None
    annotations: _Nothing = None
    tool_calls: _Nothing = None
    function_call: None = None
    audio: None = None
    reasoning: None = None
    reasoning_content: None = None


class _Choice(Struct, forbid_unknown_fields=True):
    """The fields after `logprobs` are vLLM's."""

    message: _Message
    finish_reason: Literal["stop", "length"]
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
    word, mark = found.finish_reason, said.system_fingerprint
    return Completion(
        family=family,
        id=said.id,
        model=said.model,
        created=said.created,
        choices=(
            Choice(
                index=found.index,
                parts=(Text(text=found.message.content),),
                finish=_FINISH[word],
                native=word,
            ),
        ),
        usage=NO_USAGE if said.usage is None else usage_of(said.usage),
        service_tier=said.service_tier,
        rest=NO_REST if is_null(mark) else {"system_fingerprint": mark},
    )
