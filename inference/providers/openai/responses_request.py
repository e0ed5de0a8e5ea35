"""A conversation in neutral words as a request of the Responses format. Pure.

Nothing is kept at the provider (`store` is false): what was thought comes back sealed, and goes out again with the
next turn. (https://platform.openai.com/docs/api-reference/responses/create)
"""

import re

import msgspec
from msgspec import Raw

from inference.codecs.responses.parts import OWN, write_given
from inference.codecs.responses.words import (
    INSTRUCTIONS,
    LOGGED,
    SEALED,
    write_choice,
    write_format,
    write_tool,
)
from inference.codecs.responses.writing import Item, result_item, said_items, seal_of
from inference.codecs.service_tier import openai_tier
from inference.ir.cards import Model
from inference.ir.chat import ChatRequest, Message, Role, Thinking, structured
from inference.ir.content import Family, File, Opaque, Part, ToolCall, ToolResult
from inference.ir.content import Text as TextPart
from inference.ir.errors import InvalidField
from inference.wire import Outgoing

_REASONS = re.compile(r"(?:[a-z]+/)?(o\d|gpt-[5-9])")
_UNSAYABLE: dict[str, dict[Family, str]] = {
    "top_k": {Family.GEMINI: "generationConfig.topK"},
    "frequency_penalty": {Family.GEMINI: "generationConfig.frequencyPenalty"},
    "presence_penalty": {Family.GEMINI: "generationConfig.presencePenalty"},
    "seed": {Family.GEMINI: "generationConfig.seed"},
    "stop": {Family.ANTHROPIC: "stop_sequences", Family.GEMINI: "generationConfig.stopSequences"},
    "logit_bias": {},
}
"""What a client can ask for and this format has no word for, and what other families call it."""

_encode = msgspec.json.Encoder().encode


def reasons(model: str, card: Model | None = None) -> bool:
    """Whether a model can give back its reasoning sealed. Others refuse to be asked for it."""
    return _REASONS.match(model) is not None or (card is not None and "reasoning" in card.capabilities)


def write_request(asked: ChatRequest, *, model: str, card: Model) -> Outgoing:
    """Raises InvalidField for what the format cannot say at all and must not leave out."""
    return _Writing(asked, model, card).outgoing()


class _Writing:
    """One request being written; `own`: the client speaks this very format."""

    def __init__(self, asked: ChatRequest, model: str, card: Model) -> None:
        self._asked = asked
        self._model = model
        self._card = card
        self._own = asked.family is OWN
        self._dropped: list[str] = []

    def outgoing(self) -> Outgoing:
        asked = self._asked
        body: dict[str, object] = {"model": self._model, **self._conversation()}
        body |= self._tools() | self._answer() | self._bounds()
        if self._own:
            body |= {key: value for key, value in asked.rest.items() if key not in body}
        else:
            self._dropped += asked.rest
        body["store"] = False
        include = self._include()
        if include:
            body["include"] = include
        if asked.stream:
            body["stream"] = True
        dropped = tuple(dict.fromkeys(self._dropped))
        form = structured(asked.format)
        return Outgoing(path="/responses", body=_encode(body), dropped=dropped, structured=form)

    # the conversation

    def _conversation(self) -> dict[str, object]:
        found: dict[str, object] = {}
        items: list[Item] = []
        for n, message in enumerate(self._asked.messages):
            at = f"messages[{n}]"
            if message.id == INSTRUCTIONS and n == 0:
                found["instructions"] = "".join(
                    part.text for part in message.parts if isinstance(part, TextPart)
                )
            elif message.role is Role.ASSISTANT:
                items += self._said(message, at)
            else:
                items += self._given(message, at)
        found["input"] = items
        return found

    def _said(self, message: Message, at: str) -> list[Item]:
        self._rest_of(message, at)
        own = self._own
        for n, part in enumerate(message.parts):
            sealed = isinstance(part, TextPart | ToolCall) and seal_of(part) is not None
            if sealed:
                self._dropped.append(f"{at}.content[{n}].signature")
            if not own and isinstance(part, TextPart | ToolCall) and part.rest:
                self._dropped += [f"{at}.content[{n}].{key}" for key in part.rest]
        name = message.id if own else None
        return said_items(message.parts, name=name, own=own, rest=message.rest, dropped=self._dropped, at=at)

    def _given(self, message: Message, at: str) -> list[Item]:
        """What is not the model's: results of tools are items of their own, everything else is a message."""
        self._rest_of(message, at)
        items: list[Item] = []
        content: list[object] = []
        for n, part in enumerate(message.parts):
            where = f"{at}.content[{n}]"
            if isinstance(part, ToolResult):
                if content:
                    items.append(self._message(message, content))
                    content = []
                items.append(result_item(part, self._own, self._dropped, where))
            else:
                content.append(self._part(part, where))
        if content or not message.parts:
            items.append(self._message(message, content))
        return items

    def _message(self, message: Message, content: list[object]) -> Item:
        role = Role.USER if message.role is Role.TOOL else message.role
        found: dict[str, object] = {"type": "message", "role": role.value, "content": content}
        if self._own:
            found |= message.rest
            if message.id is not None:
                found["id"] = message.id
        return found

    def _part(self, part: Part, at: str) -> object:
        written = write_given(part, self._own)
        if written is None:
            what = part.kind if isinstance(part, Opaque) else type(part).__name__.lower()
            raise InvalidField(
                f"The model cannot be shown `{at}` ({what}): its provider's format has no word for that.",
                param=at,
                code="not_translatable",
            )
        if not self._own:
            self._dropped += [f"{at}.{key}" for key in getattr(part, "rest", ())]
        if getattr(part, "cache", None) is not None:
            self._dropped.append(f"{at}.cache_control")
        if isinstance(part, File):
            unsaid = {
                "title": part.title is not None and part.name is not None,
                "context": part.context is not None,
                "citations": bool(part.citations),
            }
            self._dropped += [f"{at}.{name}" for name, lost in unsaid.items() if lost]
        return written

    def _rest_of(self, message: Message, at: str) -> None:
        if not self._own:
            self._dropped += [f"{at}.{key}" for key in message.rest]
            if message.name is not None:
                self._dropped.append(f"{at}.name")

    # tools

    def _tools(self) -> dict[str, object]:
        asked, found = self._asked, dict[str, object]()
        tools: list[object] = []
        for n, tool in enumerate(asked.tools):
            written = write_tool(tool, asked.family)
            if written is None:
                self._dropped.append(f"tools[{n}]")
                continue
            tools.append(written)
            if not self._own:
                self._dropped += [f"tools[{n}].{key}" for key in tool.rest]
            if tool.cache is not None:
                self._dropped.append(f"tools[{n}].cache_control")
        if tools or (asked.tools and self._own):
            found["tools"] = tools
        if asked.tool_choice is not None and (tools or self._own):
            choice = write_choice(asked.tool_choice, asked.tools)
            if choice is None:
                self._dropped.append("tool_choice")
            else:
                found["tool_choice"] = choice
        if asked.parallel_tools is not None and (tools or self._own):
            found["parallel_tool_calls"] = asked.parallel_tools
        return found

    # the answer

    def _answer(self) -> dict[str, object]:
        asked, found = self._asked, dict[str, object]()
        text: dict[str, object] = {}
        if asked.format is not None:
            text["format"] = write_format(asked.format)
        if asked.verbosity is not None:
            text["verbosity"] = asked.verbosity
        text |= self._more("text")
        if text:
            found["text"] = text
        thinking = {} if asked.thinking is None else self._thinking(asked.thinking)
        thinking |= self._more("reasoning")
        if thinking:
            found["reasoning"] = thinking
        if asked.modalities and set(asked.modalities) != {"text"}:
            self._dropped.append("modalities")
        return found

    def _more(self, key: str) -> dict[str, Raw]:
        """What the neutral form has no word for in an object that is otherwise understood."""
        raw = self._asked.rest.get(key) if self._own else None
        return {} if raw is None else msgspec.json.decode(raw, type=dict[str, Raw])

    def _thinking(self, thinking: Thinking) -> dict[str, object]:
        found: dict[str, object] = {}
        effort = thinking.effort
        if effort is None and thinking.budget is not None and thinking.enabled is not False:
            effort = "low" if thinking.budget < 4096 else "medium" if thinking.budget < 16384 else "high"
            budget = {Family.GEMINI: "generationConfig.thinkingConfig.thinkingBudget"}
            self._dropped.append(budget.get(self._asked.family, "thinking.budget_tokens"))
        if effort is not None:
            found["effort"] = effort
        if thinking.summary is not None:
            found["summary"] = thinking.summary
        elif thinking.show and not self._own and (self._card.can("reasoning") or reasons(self._model)):
            found["summary"] = "auto"
        return found

    # its bounds

    def _bounds(self) -> dict[str, object]:
        asked = self._asked
        said: dict[str, object] = {
            "max_output_tokens": asked.max_output,
            "temperature": asked.temperature,
            "top_p": asked.top_p,
            "top_logprobs": asked.top_logprobs,
            "user": asked.user,
            "metadata": asked.metadata,
            "service_tier": asked.service_tier if self._own else openai_tier(asked.service_tier),
            "prompt_cache_key": asked.cache_key,
        }
        if asked.service_tier is not None and said["service_tier"] is None:
            self._dropped.append("service_tier")
        for name, words in _UNSAYABLE.items():
            if getattr(asked, name) not in (None, (), {}):
                self._dropped.append(words.get(asked.family, name))
        if asked.answers is not None and asked.answers > 1:
            words = {Family.GEMINI: "generationConfig.candidateCount"}
            self._dropped.append(words.get(asked.family, "n"))
        return {key: value for key, value in said.items() if value is not None}

    def _include(self) -> list[str]:
        given = self._asked.rest.get("include") if self._own else None
        include = [] if given is None else msgspec.json.decode(given, type=list[str])
        if self._asked.logprobs and LOGGED not in include:
            include.append(LOGGED)
        if SEALED not in include and (reasons(self._model, self._card) or self._asked.thinking is not None):
            include.append(SEALED)
        return include
