"""The turns of a conversation as Cohere takes them. Pure. (https://docs.cohere.com/reference/chat)"""

import json
from collections.abc import Sequence
from typing import Any

from inference.codecs.data_url import written_url
from inference.codecs.plain_text import plain_text
from inference.ir.chat import ChatRequest, Message, Role
from inference.ir.content import (
    Audio,
    Family,
    File,
    Image,
    Opaque,
    Part,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
    ToolResult,
    Video,
)
from inference.ir.errors import InvalidField


class Messages:
    """The conversation, written: `written` are its turns, `documents` its files, `dropped` what could not be said."""

    def __init__(self, asked: ChatRequest) -> None:
        """Raises InvalidField for what must not be left out and cannot be said."""
        self.written: list[dict[str, Any]] = []
        self.documents: list[dict[str, Any]] = []
        self.dropped: list[str] = []
        for place, message in enumerate(asked.messages):
            path = f"messages[{place}]"
            self.dropped += [f"{path}.{name}" for name in message.rest]
            if message.name is not None:
                self.dropped.append(f"{path}.name")
            if message.role is Role.ASSISTANT:
                self._assistant(message, path)
            else:
                self._other(message, path)

    def _other(self, message: Message, path: str) -> None:
        """A turn of the system, the user or a tool; results of tools stand before what a user says beside them."""
        said: list[tuple[int, Part]] = []
        for place, part in enumerate(message.parts):
            if isinstance(part, ToolResult):
                self._result(part, f"{path}.content[{place}]")
            else:
                said.append((place, part))
        if said or (message.role is not Role.TOOL and not message.parts):
            content = [
                piece for place, part in said if (piece := self._piece(part, f"{path}.content[{place}]"))
            ]
            role = "user" if message.role in (Role.USER, Role.TOOL) else "system"
            self.written.append({"role": role, "content": _plain(content)})

    def _result(self, result: ToolResult, path: str) -> None:
        self._note(result, path)
        if result.error:
            self.dropped.append(f"{path}.is_error")
        content = [
            piece
            for place, part in enumerate(result.content)
            if (piece := self._result_piece(part, f"{path}.content[{place}]"))
        ]
        self.written.append({"role": "tool", "tool_call_id": result.call_id, "content": _plain(content)})

    def _result_piece(self, part: Part, path: str) -> dict[str, Any] | None:
        """Text, or a file of text as a document; Cohere's tools show no pictures."""
        if isinstance(part, Image):
            raise InvalidField(
                f"Invalid value for `{path}`: this model takes no pictures from tools, only text. Have the user "
                "show it.",
                param=path,
                code="not_translatable",
            )
        if isinstance(part, File) and (text := plain_text(part)) is not None:
            self._note(part, path)
            return {"type": "document", "document": _document(part, text)}
        return self._piece(part, path)

    def _assistant(self, message: Message, path: str) -> None:
        """A turn of the model's own. Thoughts before calls are Cohere's plan, others its thinking."""
        calls = [part for part in message.parts if isinstance(part, ToolCall)]
        content: list[dict[str, Any]] = []
        citations: list[Any] = []
        plan = ""
        for place, part in enumerate(message.parts):
            here = f"{path}.content[{place}]"
            if isinstance(part, ToolCall):
                self._note(part, here)
            elif isinstance(part, Reasoning):
                if part.redacted is not None or part.signature is not None:
                    self.dropped.append(f"{here}.signature")
                text = part.text or "\n\n".join(part.summaries)
                if calls:
                    plan += text
                elif text:
                    content.append({"type": "thinking", "thinking": text})
            elif (piece := self._piece(part, here)) is not None:
                content.append(piece)
                if isinstance(part, Text):
                    citations += self._citations(part, here)
        written: dict[str, Any] = {"role": "assistant"}
        if content:
            written["content"] = _plain(content)
        if plan:
            written["tool_plan"] = plan
        if calls:
            written["tool_calls"] = [_call(call) for call in calls]
        if citations:
            written["citations"] = citations
        if len(written) == 1:
            written["content"] = ""
        self.written.append(written)

    def _citations(self, part: Text, path: str) -> list[Any]:
        own = [
            cited.raw for cited in part.citations if cited.family is Family.COHERE and cited.raw is not None
        ]
        if len(own) < len(part.citations):
            self.dropped.append(f"{path}.citations")
        return own

    def _piece(self, part: Part, path: str) -> dict[str, Any] | None:
        """One part of a turn, None for what is named as dropped, or goes elsewhere. Raises InvalidField."""
        if isinstance(part, Refusal):
            return {"type": "text", "text": part.text}
        if isinstance(part, Opaque | Reasoning | ToolCall | ToolResult):
            self.dropped.append(path)
            return None
        self._note(part, path)
        if isinstance(part, Text):
            return {"type": "text", "text": part.text}
        if isinstance(part, Image) and (url := written_url(part.source)):
            picture = {"url": url}
            if part.detail is not None:
                picture["detail"] = part.detail
            return {"type": "image_url", "image_url": picture}
        if isinstance(part, File) and (text := plain_text(part)) is not None:
            self.documents.append(_document(part, text))
            return None
        raise InvalidField(
            f"Invalid value for `{path}`: this model cannot be shown {_thing(part)}; it takes text, pictures by "
            "address or value, and files of plain text.",
            param=path,
            code="not_translatable",
        )

    def _note(self, part: Text | Image | Audio | Video | File | ToolCall | ToolResult, path: str) -> None:
        """Name what a part says beside its content."""
        if part.cache is not None:
            self.dropped.append(f"{path}.cache_control")
        if isinstance(part, Text | ToolCall) and part.signature is not None:
            self.dropped.append(f"{path}.signature")
        self.dropped += [f"{path}.{name}" for name in part.rest]


def _call(call: ToolCall) -> dict[str, Any]:
    """Arguments as the model wrote them; free text of a custom tool as the one argument it is."""
    arguments = json.dumps({"input": call.arguments}) if call.custom else call.arguments or "{}"
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": arguments}}


def _document(file: File, text: str) -> dict[str, Any]:
    data = {"text": text}
    title = file.title or file.name
    if title is not None:
        data["title"] = title
    if file.context is not None:
        data["context"] = file.context
    return {"data": data}


def _plain(content: Sequence[dict[str, Any]]) -> str | list[dict[str, Any]]:
    """A single text as a string, which every model takes."""
    if not content:
        return ""
    if len(content) == 1 and content[0]["type"] == "text":
        return content[0]["text"]
    return list(content)


def _thing(part: Part) -> str:
    if isinstance(part, Audio):
        return "sound"
    if isinstance(part, Video):
        return "a film"
    return "a picture by the id of a file elsewhere" if isinstance(part, Image) else "such a file"
