"""A whole answer in OpenAI's chat dialect. Pure.

Thoughts are in `reasoning_content`, as DeepSeek and vLLM have them, and where somebody signed or sealed them in
`reasoning_details` too, as OpenRouter has them: a client that sends the message back gives the signature back.
(https://platform.openai.com/docs/api-reference/chat/object)
"""

from typing import Any

import msgspec

from gateway.dialects.dialect import Rendered, Setting
from gateway.dialects.openai_chat.words import google, image_words, reason_of, usage_words
from inference.codecs.reasoning_details import write_details
from inference.codecs.service_tier import openai_tier
from inference.codecs.url_citations import write_annotation
from inference.ir.chat import ChatRequest
from inference.ir.completion import Choice, Completion
from inference.ir.content import (
    Audio,
    Family,
    Image,
    Opaque,
    Part,
    Reasoning,
    Refusal,
    Rest,
    Text,
    ToolCall,
)
from inference.ir.usage import UsageSource

Said = dict[str, Any]
_encode = msgspec.json.Encoder().encode


def answer(completion: Completion, asked: ChatRequest, setting: Setting) -> Rendered:
    """The answer, and the names of what could not be said in it."""
    dropped: list[str] = []
    own = completion.family is Family.OPENAI_CHAT
    said: Said = {
        "id": f"chatcmpl-{setting.id}",
        "object": "chat.completion",
        "created": setting.created,
        "model": setting.model,
        "choices": [_choice(each, asked, dropped, own=own) for each in completion.choices],
    }
    if completion.usage.source is not UsageSource.NONE:
        said["usage"] = usage_words(completion.usage)
    tier = completion.service_tier if own else openai_tier(completion.service_tier)
    if tier is not None:
        said["service_tier"] = tier
    elif completion.service_tier is not None:
        dropped.append("service_tier")
    if own:
        said |= {name: value for name, value in completion.rest.items() if name not in said}
    else:
        dropped.extend(completion.rest)
    return Rendered(_encode(said), tuple(dict.fromkeys(dropped)))


def _choice(choice: Choice, asked: ChatRequest, dropped: list[str], *, own: bool) -> Said:
    path = f"choices[{choice.index}]"
    message = _Message(f"{path}.message", dropped, functions=asked.functions)
    for part in choice.parts:
        message.take(part)
    message.explain(choice.explanation)
    finish = choice.finish
    said: Said = {
        "index": choice.index,
        "message": message.said(),
        "logprobs": choice.logprobs,
        "finish_reason": None if finish is None else reason_of(finish, functions=asked.functions),
    }
    if own:
        _give_back(choice.rest, said)
    else:
        dropped.extend(f"{path}.{name}" for name in choice.rest)
    return said


def _give_back(rest: Rest, said: Said) -> None:
    for name, value in rest.items():
        inner = name.removeprefix("message.")
        (said if inner == name else said["message"]).setdefault(inner, value)


class _Message:
    """The assistant's message, put together part by part."""

    def __init__(self, path: str, dropped: list[str], *, functions: bool) -> None:
        self._path = path
        self._dropped = dropped
        self._functions = functions
        self._texts: list[str] = []
        self._refusals: list[str] = []
        self._thoughts: list[Reasoning] = []
        self._lists: dict[str, list[Any]] = {}
        self._fields: Said = {}

    def take(self, part: Part) -> None:
        """The next part, in whatever field it belongs."""
        match part:
            case Text():
                self._text(part)
            case Reasoning():
                self._thoughts.append(part)
            case ToolCall():
                self._call(part)
            case Refusal():
                self._refusals.append(part.text)
            case Image() if (image := image_words(part, len(self._list("images")))) is not None:
                self._list("images").append(image)
            case Audio():
                self._fields["audio"] = {
                    "id": part.id or "",
                    "data": part.source.data or "",
                    "transcript": part.transcript or "",
                    "expires_at": part.expires_at or 0,
                }
            case Opaque():
                self._dropped.append(f"{self._path}.{part.kind}")
            case _:
                self._dropped.append(f"{self._path}.{type(part).__name__.lower()}")

    def explain(self, refused: str | None) -> None:
        """What a provider says beside the answer of why it was refused, unless the model itself did."""
        if refused is not None and not self._refusals:
            self._refusals.append(refused)

    def said(self) -> Said:
        """The whole message."""
        said: Said = {
            "role": "assistant",
            "content": "".join(self._texts) if self._texts else None,
            "refusal": "".join(self._refusals) or None,
        }
        if self._thoughts:
            self._think(said)
        return said | self._fields | {name: items for name, items in self._lists.items() if items}

    def _think(self, said: Said) -> None:
        plain = [thought.text or "\n\n".join(thought.summaries) for thought in self._thoughts]
        if any(plain):
            said["reasoning_content"] = "\n\n".join(text for text in plain if text)
        if any(thought.issuer is not None or thought.id is not None for thought in self._thoughts):
            said["reasoning_details"] = [
                entry
                for index, thought in enumerate(self._thoughts)
                for entry in write_details(thought, index)
            ]

    def _text(self, text: Text) -> None:
        self._texts.append(text.text)
        for citation in text.citations:
            written = write_annotation(citation)
            if written is None:
                self._dropped.append(f"{self._path}.annotations")
            else:
                self._list("annotations").append(written)
        if text.signature is not None:
            if text.issuer is Family.GEMINI:
                self._fields["extra_content"] = google(text.signature)
            else:
                self._dropped.append(f"{self._path}.content.signature")

    def _call(self, call: ToolCall) -> None:
        if self._functions:
            if "function_call" in self._fields:
                self._dropped.append(f"{self._path}.function_call")
            else:
                self._fields["function_call"] = {"name": call.name, "arguments": call.arguments}
            return
        calls = self._list("tool_calls")
        self._dropped += [f"{self._path}.tool_calls[{len(calls)}].{name}" for name in call.rest]
        if call.custom:
            said: Said = {
                "id": call.id,
                "type": "custom",
                "custom": {"name": call.name, "input": call.arguments},
            }
        else:
            function = {"name": call.name, "arguments": call.arguments}
            said = {"id": call.id, "type": "function", "function": function}
        if call.signature is not None:
            if call.issuer is Family.GEMINI:
                said["extra_content"] = google(call.signature)
            else:
                self._dropped.append(f"{self._path}.tool_calls[{len(calls)}].signature")
        calls.append(said)

    def _list(self, name: str) -> list[Any]:
        return self._lists.setdefault(name, [])
