"""Messages written down in OpenAI's chat format. Pure.

Results of tools are messages of their own there, right after the calls, and hold text alone: what else a tool
answered follows in a message of the user's.
(https://platform.openai.com/docs/api-reference/chat/create, `messages`)
"""

from collections.abc import Sequence
from typing import Any, cast

from inference.codecs.reasoning_details import write_details
from inference.codecs.url_citations import write_annotation
from inference.ir.chat import ChatRequest, Message, Role
from inference.ir.content import (
    Audio,
    Family,
    File,
    Image,
    Part,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
    ToolResult,
    Video,
    lone_text,
)
from inference.providers.openai.chat_parts import PartWriter
from inference.providers.openai.chat_traits import ChatTraits

Said = dict[str, Any]


class MessageWriter:
    """Writes one conversation. `dropped` takes the names of what is left out."""

    def __init__(self, asked: ChatRequest, traits: ChatTraits, dropped: list[str]) -> None:
        self.own = asked.family is traits.family
        self.traits = traits
        self.dropped = dropped
        self.parts = self.part_writer()
        self._messages = asked.messages
        self._functions = asked.functions and self.own
        self._names = _called(asked.messages) if self._functions else {}
        self._shown: list[Any] = []
        """What tools answered beside text, until their messages are through."""

    def part_writer(self) -> PartWriter:
        return PartWriter(self.traits, self.dropped, own=self.own)

    def written(self) -> list[Said]:
        """All messages. Raises InvalidField for what the format cannot say at all."""
        out: list[Said] = []
        for number, message in enumerate(self._messages):
            text = lone_text(message.parts)
            if text is not None and message.name is None and not (message.rest or self._shown):
                out.append({"role": self.role(message.role), "content": text})
                continue
            path = f"messages[{number}]"
            if message.role is Role.ASSISTANT:
                self._show(out)
                out.append(self.assistant(message, path))
            else:
                self._others(message, path, out)
        self._show(out)
        return out

    def _others(self, message: Message, path: str, out: list[Said]) -> None:
        content: list[Any] = []
        for number, part in enumerate(message.parts):
            where = f"{path}.content[{number}]"
            if isinstance(part, ToolResult):
                out.append(self.result(part, where))
            else:
                content += [self.parts.item(part, where)]
        if content or not message.parts:
            content = [*self._shown, *(item for item in content if item is not None)]
            self._shown = []
            said: Said = {"role": self.role(message.role), "content": self.content(content)}
            self.name(said, message, path)
            out.append(said | self.message_rest(message, path))
        elif out:
            out[-1] |= self.message_rest(message, path)

    def name(self, said: Said, message: Message, path: str) -> None:
        """Who among several speaks."""
        if message.name is not None:
            said["name"] = message.name

    def message_rest(self, message: Message, path: str) -> Said:
        """What only one family knows of a message."""
        return self.parts.own_rest(message.rest, path)

    def role(self, role: Role) -> str:
        """Not every server knows developers, and OpenAI takes `system` for the same."""
        if role is Role.TOOL:
            return "user"
        return "system" if role is Role.DEVELOPER and not self.own else str(role)

    def content(self, items: Sequence[Any]) -> Any:
        """A string where that says it all: every server takes one."""
        if not items:
            return ""
        first = items[0]
        if len(items) == 1 and isinstance(first, dict):
            alone = cast(Said, first)
            if alone.keys() == {"type", "text"}:
                return alone["text"]
        return items

    def result(self, result: ToolResult, path: str) -> Said:
        """What a tool answered."""
        items: list[Any] = []
        shown: list[Any] = []
        for number, part in enumerate(result.content):
            item = self.parts.item(part, f"{path}.content[{number}]")
            text = isinstance(part, Text) or (isinstance(part, File) and part.source is None)
            (items if text or self.own or item is None else shown).append(item)
        items = [item for item in items if item is not None]
        if shown:
            if not items:
                items = [{"type": "text", "text": "The result follows in the next message."}]
            note = f"The result of the tool call {result.call_id}:"
            self._shown += [{"type": "text", "text": note}, *shown]
        if not self.own:
            self.dropped.extend(f"{path}.{name}" for name in result.rest)
            if result.error:
                self.dropped.append(f"{path}.is_error")
            if result.cache is not None:
                self.dropped.append(f"{path}.cache_control")
        said: Said = {"content": self.content(items)}
        if self._functions:
            return {"role": "function", "name": self._names.get(result.call_id, result.name), **said}
        said = {"role": "tool", "tool_call_id": self.call_id(result.call_id), **said}
        if result.name is not None and self.own:
            said["name"] = result.name
        return said

    def call_id(self, given: str) -> str:
        """The id by which this server knows a call."""
        return given

    def assistant(self, message: Message, path: str) -> Said:
        """A turn of the model's."""
        said: Said = {"role": "assistant", "content": None}
        self.name(said, message, path)
        items: list[Any] = []
        thoughts: list[tuple[Reasoning, str]] = []
        for number, part in enumerate(message.parts):
            where = f"{path}.content[{number}]"
            match part:
                case Reasoning():
                    thoughts.append((part, where))
                case ToolCall():
                    self.call(said, part, where)
                case Refusal():
                    said["refusal"] = said.get("refusal", "") + part.text
                case Audio(id=str(spoken)):
                    said["audio"] = {"id": spoken}
                case Image() | Video():
                    self._picture(said, part, where)
                case _:
                    item = self.parts.item(part, where)
                    if item is not None:
                        items.append(item)
                        self._marks(said, part, where)
        self.speak(said, items, thoughts)
        return said | self.message_rest(message, path)

    def speak(self, said: Said, items: list[Any], thoughts: list[tuple[Reasoning, str]]) -> None:
        """Text and thoughts of an assistant's message."""
        if thoughts:
            self._thoughts(said, thoughts)
        plain = all(isinstance(item, dict) and cast(Said, item).keys() == {"type", "text"} for item in items)
        if not self.own and len(items) > 1 and plain:
            items = [{"type": "text", "text": "".join(item["text"] for item in items)}]
        if items or len(said) == 2:
            said["content"] = self.content(items)

    def _thoughts(self, said: Said, thoughts: Sequence[tuple[Reasoning, str]]) -> None:
        details: list[Said] = []
        plain: list[str] = []
        for thought, path in thoughts:
            sealed = thought.signature is not None or thought.redacted is not None
            text = thought.text or "\n\n".join(thought.summaries)
            if sealed and not self.own and thought.issuer is not Family.OPENAI_CHAT:
                self.dropped.append(path)
            elif sealed or (self.own and (thought.summaries or thought.id is not None)):
                details += write_details(thought, len(details))
            elif self.own or self.traits.thoughts is not None:
                plain.append(text)
            # What nobody signed is no loss here: it is not to be sent back, be it this server's own.
        if details:
            lead = Reasoning(text="".join(plain))
            said["reasoning_details"] = [*(write_details(lead, 0) if plain else ()), *details]
        elif plain:
            said[self.traits.thoughts or "reasoning_content"] = "".join(plain)

    def _marks(self, said: Said, part: Part, path: str) -> None:
        """What a text has beside it in this format: citations, and Google's signature."""
        if not isinstance(part, Text):
            return
        if part.citations:
            written = [write_annotation(each) for each in part.citations] if self.own else []
            if written:
                said.setdefault("annotations", []).extend(each for each in written if each is not None)
            else:
                self.dropped.append(f"{path}.citations")
        if part.signature is not None:
            if self.own:
                said["extra_content"] = {"google": {"thought_signature": part.signature}}
            else:
                self.dropped.append(f"{path}.signature")

    def _picture(self, said: Said, part: Image | Video, path: str) -> None:
        """A picture the model made goes back the way our answers have it; to others it cannot be shown as its own."""
        item = self.parts.item(part, path) if self.own else None
        if item is None:
            self.dropped.append(path)
        else:
            said.setdefault("images", []).append(item)

    def call(self, said: Said, call: ToolCall, path: str) -> None:
        """A call the model made."""
        if self._functions:
            said["function_call"] = {"name": call.name, "arguments": call.arguments}
            return
        if call.custom:
            inner: Said = {"type": "custom", "custom": {"name": call.name, "input": call.arguments}}
        else:
            # An empty text is no JSON, and templates of open models read it as such.
            arguments = call.arguments if call.arguments or self.own else "{}"
            inner = {"type": "function", "function": {"name": call.name, "arguments": arguments}}
        made = {"id": self.call_id(call.id), **inner}
        if call.signature is not None:
            if self.own:
                made["extra_content"] = {"google": {"thought_signature": call.signature}}
            else:
                self.dropped.append(f"{path}.signature")
        if call.cache is not None and not self.own:
            self.dropped.append(f"{path}.cache_control")
        made |= self.parts.own_rest(call.rest, path)
        said.setdefault("tool_calls", []).append(made)

    def _show(self, out: list[Said]) -> None:
        if self._shown:
            out.append({"role": "user", "content": self._shown})
            self._shown = []


def _called(messages: Sequence[Message]) -> dict[str, str]:
    """The name of the function that each call was of."""
    return {
        part.id: part.name for message in messages for part in message.parts if isinstance(part, ToolCall)
    }
