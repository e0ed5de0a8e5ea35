"""An answer as a stream of legacy completions. Pure.

(https://platform.openai.com/docs/api-reference/completions/object)
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from gateway.dialects.dialect import Setting
from gateway.dialects.openai_chat.words import reason_of, usage_words
from gateway.dialects.openai_errors import DONE, error_body
from inference.codecs.sse import data_event
from inference.ir.errors import AspendosError
from inference.ir.events import (
    Began,
    Counted,
    Ended,
    Event,
    Extra,
    Failed,
    RefusalDelta,
    Sealed,
    TextDelta,
)
from inference.ir.usage import NO_USAGE, Usage

_encode = msgspec.json.Encoder().encode


class CompletionWriter:
    """Writes one answer. `dropped` names what could not be said so far."""

    end = DONE

    def __init__(self, setting: Setting) -> None:
        said: dict[str, Any] = {
            "id": f"cmpl-{setting.id}",
            "object": "text_completion",
            "created": setting.created,
            "model": setting.model,
        }
        self._dropped: list[str] = []
        self.dropped: Sequence[str] = self._dropped
        self._head = b"data: " + _encode(said)[:-1] + b',"choices":['
        self._include_usage = setting.include_usage
        self._tail = b'],"usage":null}\n\n' if setting.include_usage else b"]}\n\n"
        self._ended: dict[int, Ended | None] = {}
        self._usage = NO_USAGE

    def write(self, events: Sequence[Event]) -> bytes:
        """What the client may have now."""
        return b"".join(map(self._event, events))

    def finish(self) -> bytes:
        """Why each choice ended, usage where the client is to have it, and the end."""
        return self._closing(self._usage, None) + DONE

    def broken(self, error: AspendosError) -> bytes:
        """The error as an event, which OpenAI's SDKs raise."""
        return data_event(error_body(error))

    def cut(self, usage: Usage) -> bytes:
        """As if the model's own maximum had been reached."""
        return self._closing(usage, "length")

    def _event(self, event: Event) -> bytes:
        match event:
            case TextDelta(text, _, choice) | RefusalDelta(text, _, choice):
                self._ended.setdefault(choice)
                return self._chunk(choice, _encode(text), b"null")
            case Ended():
                self._ended[event.choice] = event
            case Counted(usage):
                self._usage = usage
            case Failed(error):
                return self.broken(error)
            case Began() | Sealed():
                pass
            case Extra(rest=rest):
                for name in rest:
                    self._drop(name)
            case _:
                kind = type(event).__name__.removesuffix("Delta").removesuffix("Began").lower()
                self._drop(f"choices[{event.choice}].{kind}")
        return b""

    def _drop(self, name: str) -> None:
        if name not in self._dropped:
            self._dropped.append(name)

    def _chunk(self, choice: int, text: bytes, reason: bytes) -> bytes:
        said = b'{"index":%d,"text":' % choice + text + b',"logprobs":null,"finish_reason":' + reason + b"}"
        return self._head + said + self._tail

    def _closing(self, usage: Usage, reason: str | None) -> bytes:
        out: list[bytes] = []
        for choice, ended in (self._ended or {0: None}).items():
            word = "stop" if ended is None else reason_of(ended.finish, functions=False)
            out.append(self._chunk(choice, b'""', _encode(reason or word)))
        if self._include_usage and usage is not NO_USAGE:
            out.append(self._head + b'],"usage":' + _encode(usage_words(usage)) + b"}\n\n")
        return b"".join(out)
