"""Frames: single events of Anthropic's streams, and the block they belong to. Pure."""

from collections.abc import Mapping, Sequence

import msgspec
from msgspec import Raw

from inference.codecs.anthropic.seals import seal
from inference.ir.events import (
    CallBegan,
    CallDelta,
    Event,
    ReasoningDelta,
    Sealed,
    TextDelta,
    Whole,
)

_encode = msgspec.json.Encoder().encode
_object = msgspec.json.Decoder(dict[str, Raw])
STOP = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'


def frame(kind: str, fields: Mapping[str, object]) -> bytes:
    """One event."""
    return f"event: {kind}\ndata: ".encode() + _encode({"type": kind, **fields}) + b"\n\n"


def ending(
    delta: Mapping[str, object],
    usage: Mapping[str, object],
    more: Mapping[str, Raw] | None = None,
    in_delta: Sequence[str] = (),
) -> bytes:
    """The last two events: why it ended and what it took, and the end."""
    inside = {name: value for name, value in (more or {}).items() if name in in_delta}
    beside = {name: value for name, value in (more or {}).items() if name not in in_delta}
    return frame("message_delta", {"delta": {**delta, **inside}, "usage": usage, **beside}) + STOP


class Block:
    """One content block under way. `takes` is the kind of event it goes on with, `prefix` what a piece begins with."""

    __slots__ = (
        "_arguments",
        "_signature",
        "_summary",
        "index",
        "kind",
        "number",
        "prefix",
        "seal",
        "sealed_call",
        "start",
        "takes",
    )

    def __init__(self, kind: str, number: int, index: int, start: object, takes: type[object]) -> None:
        self.kind = kind
        self.number = number
        self.index = index
        self.takes = takes
        self.start = frame("content_block_start", {"index": index, "content_block": start})
        self.prefix = b""
        self._arguments: list[str] | None = None
        self.seal: Sealed | None = None
        self._signature = ""
        self._summary: int | None = None
        self.sealed_call = False

    @classmethod
    def text(cls, number: int, index: int) -> "Block":
        block = cls("text", number, index, {"type": "text", "text": ""}, TextDelta)
        block.prefix = _prefix(index, "text_delta", "text")
        return block

    @classmethod
    def thinking(cls, number: int, index: int, sealed: str = "") -> "Block":
        """`sealed`: the signature it will end with, of what is no thought."""
        start = {"type": "thinking", "thinking": "", "signature": ""}
        block = cls("thinking", number, index, start, ReasoningDelta)
        block._signature = sealed
        block.prefix = _prefix(index, "thinking_delta", "thinking")
        return block

    @classmethod
    def call(
        cls, number: int, index: int, began: CallBegan, *, own: bool, sealed: str | None = None
    ) -> "Block":
        start: dict[str, object] = {"type": "tool_use", "id": began.id, "name": began.name, "input": {}}
        if own:
            start |= began.rest
        if sealed is not None:
            start["signature"] = sealed
        block = cls("tool_use", number, index, start, CallDelta)
        block.sealed_call = sealed is not None
        block.prefix = _prefix(index, "input_json_delta", "partial_json")
        block._arguments = []
        return block

    @classmethod
    def whole(cls, number: int, index: int, start: object) -> "Block":
        """One that has nothing to come but its end."""
        return cls("whole", number, index, start, Whole)

    @property
    def complete(self) -> bool:
        """Whether another may begin: a call is complete once its arguments are a whole object."""
        if self._arguments is None:
            return True
        try:
            _object.decode("".join(self._arguments))
        except (msgspec.DecodeError, RecursionError):
            return False
        return True

    def goes_on(self, event: Event) -> str | None:
        """What an event adds to it, where it is one more of what nearly all of a stream is; None for any other."""
        if type(event) is not self.takes:
            return None
        if isinstance(event, TextDelta):
            said = event.text
        elif isinstance(event, CallDelta):
            said = event.arguments
        elif isinstance(event, ReasoningDelta) and event.summary is None:
            said = event.text
        else:
            return None
        if event.block != self.number or event.choice:
            return None
        if self._arguments is not None:
            self._arguments.append(said)
        return said

    def said(self, event: Event) -> None:
        """Remember of a piece what has to be known later."""
        if self._arguments is not None and isinstance(event, CallDelta):
            self._arguments.append(event.arguments)
        elif isinstance(event, ReasoningDelta):
            self._summary = event.summary

    def parted(self, event: ReasoningDelta) -> str:
        """What stands between two parts of a summary."""
        before, now = self._summary, event.summary
        return "\n\n" if before is not None and now is not None and now != before else ""

    def sealed(self, event: Sealed) -> None:
        """A signature, or a part of what it consists of."""
        before = self.seal
        if before is None:
            self.seal = event
            return
        self.seal = Sealed(
            block=event.block,
            signature=event.signature or before.signature,
            redacted=event.redacted or before.redacted,
            issuer=event.issuer or before.issuer,
            id=event.id or before.id,
        )

    def stop(self) -> bytes:
        """Its end, and before that its signature."""
        end = frame("content_block_stop", {"index": self.index})
        found = self.seal if self.kind == "thinking" else None
        signature = self._signature
        if found is not None:
            signature = seal(found.issuer, found.signature, found.redacted, found.id)
        if not signature:
            return end
        delta = {"type": "signature_delta", "signature": signature}
        return frame("content_block_delta", {"index": self.index, "delta": delta}) + end


def _prefix(index: int, kind: str, name: str) -> bytes:
    """Everything of a delta that stands before its text."""
    head = frame("content_block_delta", {"index": index, "delta": {"type": kind, name: ""}})
    return head[: -len(b'""}}\n\n')]
