"""A conversation written down as a request to Anthropic. Pure.

Anthropic has one system prompt, before the conversation. System and developer messages at the beginning are it; one
in the middle goes where it stands when the client speaks Anthropic's dialect, and else joins the system prompt, at
its end: a user's turn would not have its authority. Turns of one role in a row become one, as Anthropic itself
would make them, results of tools first. (https://docs.anthropic.com/en/api/messages)
"""

from collections.abc import Sequence

import msgspec
from msgspec import Raw

from inference.codecs.anthropic.writing import Block, BlockWriter, foreign
from inference.codecs.untold import Untold
from inference.ir.cards import Model
from inference.ir.chat import ChatRequest, Format, FormatKind, Message, Role, Structured, structured
from inference.ir.content import Family, Part, ToolResult
from inference.ir.errors import InvalidField
from inference.providers.anthropic.thinking import Thought, abilities, asked_thinking
from inference.providers.anthropic.tools import (
    answer_choice,
    answer_tool,
    named_choice,
    native_format,
    write_choice,
    write_tools,
)
from inference.wire import Outgoing

PATH = "/v1/messages"
DEFAULT_MAX = 4096
"""Tokens of an answer where neither the request nor the model's card says how many."""
_SYSTEM = (Role.SYSTEM, Role.DEVELOPER)
_TIERS = {"auto": "auto", "default": "standard_only"}
_UNTOLD = Untold(
    {
        "frequency_penalty": "frequency_penalty",
        "presence_penalty": "presence_penalty",
        "seed": "seed",
        "logprobs": "logprobs",
        "top_logprobs": "top_logprobs",
        "logit_bias": "logit_bias",
        "verbosity": "verbosity",
        "cache_key": "prompt_cache_key",
    }
)
"""What Anthropic has no word for, as the client wrote it."""
_encode = msgspec.json.Encoder().encode


def write_request(asked: ChatRequest, *, model: str, card: Model) -> Outgoing:
    """Raises InvalidField for a conversation without a turn to answer."""
    own = asked.family is Family.ANTHROPIC
    dropped: list[str] = []
    writer = BlockWriter(own=own, answer=False, dropped=dropped)
    max_tokens = asked.max_output or card.max_output or DEFAULT_MAX
    thought = asked_thinking(asked, max_tokens, abilities(card, model))
    if thought.dropped:
        dropped.append("reasoning_effort" if asked.thinking and asked.thinking.effort else "thinking")
    body: dict[str, object] = {"model": model, "max_tokens": max_tokens}
    system, messages = _conversation(asked, writer)
    if system:
        body["system"] = system
    if not messages:
        raise InvalidField(
            "The conversation has no turn that Anthropic's format can carry: send at least one message of the user.",
            param="messages",
        )
    body["messages"] = messages
    by = _add_tools(body, asked, writer, thought, card)
    _add_thinking(body, thought)
    _add_sampling(body, asked, thought, dropped)
    _add_rest(body, asked, dropped)
    if asked.stream:
        body["stream"] = True
    form = structured(asked.format, by)
    return Outgoing(path=PATH, body=_encode(body), dropped=tuple(dropped), structured=form)


def _conversation(asked: ChatRequest, writer: BlockWriter) -> tuple[list[Block | Raw] | str, list[object]]:
    """The system prompt and the turns."""
    own = asked.family is Family.ANTHROPIC
    system: list[Block | Raw] = []
    messages: list[object] = []
    before, turn = "", list[Block | Raw]()
    started = False
    for at, message in enumerate(asked.messages):
        path = f"messages[{at}]"
        if message.role in _SYSTEM and not (own and started):
            system += writer.blocks(message.parts, f"{path}.content")
            _name_rest(message, path, writer, own=own)
            if started:
                writer.dropped.append(f"{path}.role")  # it is heard, but before all that was said by then
            continue
        started = True
        role = "user" if message.role is Role.TOOL else str(message.role)
        blocks = writer.blocks(_results_first(message, own=own), f"{path}.content")
        _name_rest(message, path, writer, own=own)
        if own:
            messages.append({"role": role, "content": blocks, **message.rest})
        elif blocks and role == before:
            _join(turn, blocks)
        elif blocks:
            messages.append({"role": role, "content": blocks})
            before, turn = role, blocks
    return system, messages


def _join(content: list[Block | Raw], blocks: list[Block | Raw]) -> None:
    """Add to a turn what its speaker goes on to say: results of tools before anything else."""
    results = [block for block in blocks if _is_result(block)]
    place = next((at for at, block in enumerate(content) if not _is_result(block)), len(content))
    content[place:place] = results
    content += [block for block in blocks if not _is_result(block)]


def _is_result(block: Block | Raw) -> bool:
    return not isinstance(block, Raw) and block["type"] == "tool_result"


def _results_first(message: Message, *, own: bool) -> Sequence[Part]:
    if (
        own
        or len(message.parts) == 1
        or message.role is Role.ASSISTANT
        or not any(isinstance(part, ToolResult) for part in message.parts)
    ):
        return message.parts
    return sorted(message.parts, key=lambda part: not isinstance(part, ToolResult))


def _name_rest(message: Message, path: str, writer: BlockWriter, *, own: bool) -> None:
    if own:
        return
    if message.rest:
        writer.dropped += foreign(message.rest, path)
    if message.name is not None:
        writer.dropped.append(f"{path}.name")


def _add_tools(
    body: dict[str, object], asked: ChatRequest, writer: BlockWriter, thought: Thought, card: Model
) -> Structured:
    """Tools, which of them, and the form of the answer. By what that is asked for, where it is."""
    by = Structured.NATIVE
    tools = write_tools(asked, writer)
    choice = write_choice(asked, tools, writer)
    form = asked.format
    if form is not None and form.kind is not FormatKind.TEXT:
        own = asked.family is Family.ANTHROPIC
        native = _own_format(form) if own else native_format(form, card.capabilities)
        if own and form.rest:
            body.update(form.rest)
        elif native is not None:
            body["output_config"] = {"format": native}
        else:
            by = Structured.TOOL
            tools.append(answer_tool(form))
            if not named_choice(asked.tool_choice):
                choice = answer_choice(tools, free=thought.on, parallel=asked.parallel_tools)
    if tools:
        body["tools"] = tools
    if choice is not None:
        body["tool_choice"] = choice
    return by


def _own_format(form: Format) -> dict[str, object]:
    return {"type": "json_schema", "schema": form.schema}


def _add_thinking(body: dict[str, object], thought: Thought) -> None:
    if thought.thinking is not None:
        body["thinking"] = thought.thinking
    if thought.effort is not None:
        config = body.setdefault("output_config", {})
        assert isinstance(config, dict)
        config["effort"] = thought.effort


def _add_sampling(body: dict[str, object], asked: ChatRequest, thought: Thought, dropped: list[str]) -> None:
    """Temperature and the like; Anthropic's own client is taken at its word, another's is fitted and named."""
    own = asked.family is Family.ANTHROPIC
    for name, value in (("temperature", asked.temperature), ("top_p", asked.top_p), ("top_k", asked.top_k)):
        if value is None:
            continue
        if not own and thought.on:
            dropped.append(name)  # thinking has a sampling of its own
            continue
        too_hot = not own and name == "temperature" and value > 1
        if too_hot:
            dropped.append(name)
        body[name] = 1.0 if too_hot else value
    stop = [each for each in asked.stop if own or each.strip()]
    if len(stop) < len(asked.stop):
        dropped.append("stop")
    if stop:
        body["stop_sequences"] = stop


def _add_rest(body: dict[str, object], asked: ChatRequest, dropped: list[str]) -> None:
    own = asked.family is Family.ANTHROPIC
    if asked.user is not None:
        body["metadata"] = {"user_id": asked.user}
    if asked.service_tier is not None:
        tier = asked.service_tier if own else _TIERS.get(asked.service_tier)
        if tier is None:
            dropped.append("service_tier")
        else:
            body["service_tier"] = tier
    dropped += _UNTOLD.names(asked)
    if asked.metadata:
        dropped.append("metadata")
    if (asked.answers or 1) > 1:
        dropped.append("n")
    if any(kind != "text" for kind in asked.modalities):
        dropped.append("modalities")
    if not own:
        dropped += foreign(asked.rest)
        return
    for name, value in asked.rest.items():
        known = body.get(name)
        body[name] = (
            {**msgspec.json.decode(value, type=dict[str, Raw]), **known} if isinstance(known, dict) else value
        )
