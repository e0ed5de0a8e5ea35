"""An answer in OpenAI's chat dialect as a stream of chunks. Pure.

Pieces of text, the bulk of every stream, are put into bytes made ready once; only the text itself is encoded.
(https://platform.openai.com/docs/api-reference/chat-streaming)
"""

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Raw

from gateway.dialects.dialect import Setting
from gateway.dialects.openai_chat.words import google, image_words, reason_of, usage_words
from gateway.dialects.openai_errors import DONE, error_body
from inference.codecs.reasoning_details import format_of
from inference.codecs.service_tier import openai_tier
from inference.codecs.sse import data_event
from inference.codecs.url_citations import write_annotation
from inference.ir.chat import ChatRequest
from inference.ir.content import Audio, Citation, Family, Image, Opaque, Part
from inference.ir.errors import AspendosError
from inference.ir.events import (
    AudioDelta,
    Began,
    CallBegan,
    CallDelta,
    Cited,
    Counted,
    Ended,
    Event,
    Extra,
    Failed,
    LogProbs,
    ReasoningDelta,
    RefusalDelta,
    Sealed,
    TextDelta,
    Whole,
)
from inference.ir.usage import NO_USAGE, Usage

_encode = msgspec.json.Encoder().encode
_fields = msgspec.json.Decoder(dict[str, Raw])
_SIGNING = frozenset((Family.ANTHROPIC, Family.BEDROCK, Family.GEMINI, Family.OPENAI_RESPONSES))
"""Families whose thoughts are signed, so that they have to be told apart: `reasoning_details` does."""


class _Written:
    """What has been said of one choice."""

    __slots__ = ("calls", "citations", "ended", "images", "refused", "thought", "thoughts")

    def __init__(self) -> None:
        self.calls: dict[int, tuple[int, bool]] = {}
        """Of each block that is a call, its place among the calls, and whether it is of a custom tool."""
        self.thoughts: dict[int, int] = {}
        self.thought: tuple[int, int | None] | None = None
        """The block and the part of a summary in which was thought last."""
        self.images = 0
        self.citations = 0
        self.ended: Ended | None = None
        self.refused = False


class ChatWriter:
    """Writes one answer. `dropped` names what could not be said so far."""

    end = DONE

    def __init__(self, asked: ChatRequest, setting: Setting) -> None:
        self._dropped: list[str] = []
        self.dropped: Sequence[str] = self._dropped
        self._functions = asked.functions
        self._include_usage = setting.include_usage
        self._setting = setting
        self._head, self._tail = _frame(setting, None)
        self._signed = False
        self._signer: Family | None = None
        self._choices: dict[int, _Written] = {}
        self._usage = NO_USAGE

    def write(self, events: Sequence[Event]) -> bytes:
        """What the client may have now."""
        out: list[bytes] = []
        for event in events:
            kind = type(event)
            if kind is TextDelta:
                assert isinstance(event, TextDelta)
                out.append(self._piece(event.choice, b'"content":' + _encode(event.text)))
            elif kind is CallDelta:
                assert isinstance(event, CallDelta)
                self._arguments(event, out)
            elif kind is ReasoningDelta:
                assert isinstance(event, ReasoningDelta)
                self._thought(event, out)
            else:
                self._other(event, out)
        return b"".join(out)

    def finish(self) -> bytes:
        """Why each choice ended, usage where the client is to have it, and the end."""
        return self._closing(self._usage, None) + DONE

    def broken(self, error: AspendosError) -> bytes:
        """The error as an event, which OpenAI's SDKs raise."""
        return data_event(error_body(error))

    def cut(self, usage: Usage) -> bytes:
        """As if the model's own maximum had been reached."""
        return self._closing(usage, "length")

    def _closing(self, usage: Usage, reason: str | None) -> bytes:
        out: list[bytes] = []
        if not self._choices:
            self._written(0, out)
        for index, written in self._choices.items():
            ended = written.ended
            if reason is not None:
                word = reason
            else:
                word = "stop" if ended is None else reason_of(ended.finish, functions=self._functions)
            out.append(self._choice(index, b"", b'"' + word.encode() + b'"'))
        if self._include_usage and usage is not NO_USAGE:
            told = b'"choices":[],"usage":' + _encode(usage_words(usage))
            out.append(self._head + told + b"}\n\n")
        return b"".join(out)

    def _other(self, event: Event, out: list[bytes]) -> None:
        match event:
            case Began():
                self._begin(event, out)
            case CallBegan():
                self._call(event, out)
            case RefusalDelta():
                self._written(event.choice, out).refused = True
                out.append(self._piece(event.choice, b'"refusal":' + _encode(event.text)))
            case Ended():
                written = self._written(event.choice, out)
                written.ended = event
                if event.explanation is not None and not written.refused:
                    out.append(self._piece(event.choice, b'"refusal":' + _encode(event.explanation)))
            case Counted(usage):
                self._usage = usage
            case Sealed():
                self._seal(event, out)
            case Cited(citation, _, choice):
                self._cite(citation, choice, out)
            case LogProbs(raw, choice):
                self._written(choice, out)
                out.append(self._choice(choice, b"", b"null", b',"logprobs":' + bytes(raw)))
            case AudioDelta():
                self._speak(event, out)
            case Whole(part, _, choice):
                self._whole(part, choice, out)
            case Extra():
                self._extra(event, out)
            case Failed(error):
                out.append(self.broken(error))
            case _:
                pass

    def _begin(self, began: Began, out: list[bytes]) -> None:
        self._signer = began.signer or began.family
        self._signed = began.family in _SIGNING
        own = began.family is Family.OPENAI_CHAT
        tier = began.service_tier if own else openai_tier(began.service_tier)
        if tier is None and began.service_tier is not None:
            self._drop("service_tier")
        self._head, self._tail = _frame(self._setting, tier)
        self._written(0, out)

    def _written(self, choice: int, out: list[bytes]) -> _Written:
        """The choice's state; its first chunk says who speaks."""
        written = self._choices.get(choice)
        if written is None:
            written = self._choices[choice] = _Written()
            out.append(self._choice(choice, b'"role":"assistant","content":""'))
        return written

    def _piece(self, choice: int, delta: bytes) -> bytes:
        """A chunk with one delta; the choice's first chunk before it, where it is the first."""
        if choice in self._choices:
            return self._choice(choice, delta)
        out: list[bytes] = []
        self._written(choice, out)
        return b"".join(out) + self._choice(choice, delta)

    def _choice(self, choice: int, delta: bytes, reason: bytes = b"null", more: bytes = b"") -> bytes:
        if choice or reason != b"null" or more:
            return (
                self._head
                + b'"choices":[{"index":%d,"delta":{' % choice
                + delta
                + b'},"finish_reason":'
                + reason
                + more
                + b"}]"
                + self._tail
            )
        return (
            self._head + b'"choices":[{"index":0,"delta":{' + delta + b'},"finish_reason":null}]' + self._tail
        )

    def _say(self, choice: int, delta: dict[str, Any] | None, name: str, out: list[bytes]) -> None:
        """A rare delta; None: it cannot be said and is named."""
        if delta is None:
            self._drop(f"choices[{choice}].delta.{name}")
            return
        out.append(self._piece(choice, _encode(delta)[1:-1]))

    def _drop(self, name: str) -> None:
        if name not in self._dropped:
            self._dropped.append(name)

    def _call(self, began: CallBegan, out: list[bytes]) -> None:
        written = self._written(began.choice, out)
        number = len(written.calls)
        written.calls[began.block] = number, began.custom
        for name in began.rest:
            self._drop(f"choices[{began.choice}].delta.tool_calls[{number}].{name}")
        if self._functions:
            call = {"function_call": {"name": began.name, "arguments": ""}} if number == 0 else None
            self._say(began.choice, call, "function_call", out)
            return
        said: dict[str, Any] = {"index": number, "id": began.id}
        if began.custom:
            said |= {"type": "custom", "custom": {"name": began.name, "input": ""}}
        else:
            said |= {"type": "function", "function": {"name": began.name, "arguments": ""}}
        self._say(began.choice, {"tool_calls": [said]}, "tool_calls", out)

    def _arguments(self, piece: CallDelta, out: list[bytes]) -> None:
        number, custom = self._written(piece.choice, out).calls[piece.block]
        text = _encode(piece.arguments)
        if self._functions:
            if number == 0:
                out.append(self._piece(piece.choice, b'"function_call":{"arguments":' + text + b"}"))
            return
        field = b'"custom":{"input":' if custom else b'"function":{"arguments":'
        said = b'"tool_calls":[{"index":%d,' % number + field + text + b"}}]"
        out.append(self._piece(piece.choice, said))

    def _thought(self, piece: ReasoningDelta, out: list[bytes]) -> None:
        if not piece.text:
            return
        text = _encode(piece.text)
        written, thought = self._written(piece.choice, out), (piece.block, piece.summary)
        # Thoughts are told apart, as they are in an answer that comes whole.
        apart = written.thought is not None and written.thought != thought
        written.thought = thought
        said = b'"reasoning_content":' + (_encode("\n\n" + piece.text) if apart else text)
        if self._signed:
            index, first = self._place(piece.choice, piece.block, out)
            field = b"text" if piece.summary is None else b"summary"
            # Said once: OpenAI's SDKs join the strings of all entries with one index.
            format = b',"format":' + _encode(format_of(self._signer)) if first else b""
            said += (
                b',"reasoning_details":[{"type":"reasoning.%b","%b":' % (field, field)
                + text
                + format
                + b',"index":%d}]' % index
            )
        out.append(self._piece(piece.choice, said))

    def _place(self, choice: int, block: int, out: list[bytes]) -> tuple[int, bool]:
        """The place of a thought among the thoughts, and whether this is the first of it."""
        thoughts = self._written(choice, out).thoughts
        first = block not in thoughts
        return thoughts.setdefault(block, len(thoughts)), first

    def _seal(self, seal: Sealed, out: list[bytes]) -> None:
        written = self._written(seal.choice, out)
        call = written.calls.get(seal.block)
        entry: dict[str, Any]
        if call is not None:
            signed = seal.signature is not None and seal.issuer is Family.GEMINI and not self._functions
            number, custom = call
            # OpenAI's SDK insists on a piece of the call in each entry, be it empty.
            inner = {"custom": {"input": ""}} if custom else {"function": {"arguments": ""}}
            entry = {"index": number, **inner, "extra_content": google(seal.signature or "")}
            delta = {"tool_calls": [entry]} if signed else None
            if signed or seal.signature is not None:
                self._say(seal.choice, delta, "tool_calls.signature", out)
            return
        if seal.signature is None and seal.redacted is None:
            return
        if seal.issuer is Family.GEMINI and seal.signature and seal.block not in written.thoughts:
            # Google signs what was said too, and then it stands beside that.
            self._say(seal.choice, {"extra_content": google(seal.signature)}, "extra_content", out)
            return
        index, first = self._place(seal.choice, seal.block, out)
        entry = {"index": index} | ({"format": format_of(seal.issuer)} if first else {})
        if seal.id is not None:
            entry["id"] = seal.id
        if seal.redacted is not None or seal.issuer is Family.OPENAI_RESPONSES:
            entry |= {"type": "reasoning.encrypted", "data": seal.redacted or seal.signature}
        else:
            entry |= {"type": "reasoning.text", "signature": seal.signature}
        self._say(seal.choice, {"reasoning_details": [entry]}, "reasoning_details", out)

    def _cite(self, citation: Citation, choice: int, out: list[bytes]) -> None:
        """Numbered, as everything in a list is: OpenAI's SDKs put lists together by that."""
        annotation = write_annotation(citation)
        if annotation is None:
            self._say(choice, None, "annotations", out)
            return
        written = self._written(choice, out)
        entry = _fields.decode(annotation) if isinstance(annotation, Raw) else annotation
        self._say(choice, {"annotations": [{**entry, "index": written.citations}]}, "annotations", out)
        written.citations += 1

    def _speak(self, piece: AudioDelta, out: list[bytes]) -> None:
        said: dict[str, Any] = {
            name: value
            for name in ("id", "data", "transcript", "expires_at")
            if (value := getattr(piece, name))
        }
        self._say(piece.choice, {"audio": said}, "audio", out)

    def _whole(self, part: Part, choice: int, out: list[bytes]) -> None:
        match part:
            case Image():
                written = self._written(choice, out)
                image = image_words(part, written.images)
                written.images += 1
                self._say(choice, None if image is None else {"images": [image]}, "images", out)
            case Audio():
                self._speak(
                    AudioDelta(
                        data=part.source.data or "",
                        transcript=part.transcript or "",
                        id=part.id,
                        expires_at=part.expires_at,
                        choice=choice,
                    ),
                    out,
                )
            case Opaque():
                self._drop(f"choices[{choice}].delta.{part.kind}")
            case _:
                self._drop(f"choices[{choice}].delta.{type(part).__name__.lower()}")

    def _extra(self, extra: Extra, out: list[bytes]) -> None:
        place = "" if extra.choice is None else f"choices[{extra.choice}]."
        if extra.family is not Family.OPENAI_CHAT or extra.choice is not None:
            for name in extra.rest:
                self._drop(f"{place}{name}")
            return
        out.append(self._head + b'"choices":[],' + _encode(extra.rest)[1:-1] + b"}\n\n")


def _frame(setting: Setting, tier: str | None) -> tuple[bytes, bytes]:
    """What stands before and after the choices in every chunk."""
    said: dict[str, Any] = {
        "id": f"chatcmpl-{setting.id}",
        "object": "chat.completion.chunk",
        "created": setting.created,
        "model": setting.model,
    }
    if tier is not None:
        said["service_tier"] = tier
    return b"data: " + _encode(said)[:-1] + b",", (
        b',"usage":null}\n\n' if setting.include_usage else b"}\n\n"
    )
