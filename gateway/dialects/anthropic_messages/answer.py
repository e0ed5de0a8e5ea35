"""Answer: a whole answer as a message of Anthropic's. Pure.

(https://docs.anthropic.com/en/api/messages)
"""

import msgspec

from gateway.dialects.dialect import Rendered, Setting
from inference.codecs.anthropic.usage import written_usage
from inference.codecs.anthropic.writing import BlockWriter
from inference.codecs.service_tier import anthropic_tier
from inference.ir.chat import ChatRequest
from inference.ir.completion import Choice, Completion, Finish
from inference.ir.content import Family

_REASONS = {
    Finish.STOP: "end_turn",
    Finish.LENGTH: "max_tokens",
    Finish.TOOL_CALLS: "tool_use",
    Finish.FILTER: "refusal",
    Finish.REFUSAL: "refusal",
    Finish.PAUSE: "pause_turn",
    Finish.CONTEXT: "model_context_window_exceeded",
    Finish.ERROR: "refusal",
    Finish.OTHER: "end_turn",
}
_encode = msgspec.json.Encoder().encode


def answer(completion: Completion, asked: ChatRequest, setting: Setting) -> Rendered:
    """The first choice: this dialect knows only one."""
    own = completion.family is Family.ANTHROPIC
    dropped: list[str] = []
    writer = BlockWriter(own=own, answer=True, dropped=dropped)
    choice = completion.choices[0] if completion.choices else Choice()
    dropped += [f"choices[{each.index}]" for each in completion.choices[1:]]
    if choice.logprobs is not None:
        dropped.append("logprobs")
    tier = completion.service_tier if own else anthropic_tier(completion.service_tier)
    if tier is None and completion.service_tier is not None:
        dropped.append("service_tier")
    message: dict[str, object] = {
        "id": message_id(completion.id if own else None, setting),
        "type": "message",
        "role": "assistant",
        "model": setting.model,
        "content": writer.blocks(choice.parts, "content"),
        "stop_reason": stop_reason(choice.finish, choice.native, choice.stop_sequence, own=own),
        "stop_sequence": choice.stop_sequence,
        "usage": written_usage(completion.usage, tier),
    }
    if own:
        message |= completion.rest
    else:
        message |= stop_details(choice.explanation)
        dropped += [*completion.rest, *choice.rest]
    return Rendered(_encode(message), tuple(dropped))


def message_id(given: str | None, setting: Setting) -> str:
    """Anthropic's own id of a message, else one made of the call's."""
    return given or f"msg_{setting.id.removeprefix('req-')}"


def stop_details(explanation: str | None) -> dict[str, object]:
    """What another provider says of a refusal, where Anthropic itself would say it."""
    if explanation is None:
        return {}
    return {"stop_details": {"type": "refusal", "category": None, "explanation": explanation}}


def stop_reason(finish: Finish | None, native: str | None, stop: str | None, *, own: bool) -> str | None:
    """Why the model stopped, in Anthropic's word. Bedrock and Cohere tell that a sequence did, and not which."""
    if own and native is not None and finish in (Finish.OTHER, Finish.ERROR):
        return native
    if finish is Finish.STOP and (stop is not None or (native or "").lower() == "stop_sequence"):
        return "stop_sequence"
    return None if finish is None else _REASONS[finish]
