"""Streams of speech, transcripts and pictures in OpenAI's format, tapped in passing. Pure.

Events are large (a picture in base64) and few: whole ones go through as they are, and the last that says something is
complete is held back, so that a call is settled before its client knows that it is over.
(https://platform.openai.com/docs/api-reference/audio/speech-audio-done-event, .../images-streaming)
"""

import msgspec
from msgspec import Raw, Struct

from inference.codecs.sse import BREAK, event_json
from inference.ir.errors import UpstreamGarbled
from inference.ir.usage import NO_USAGE, Usage
from inference.providers.openai.media_usage import Told, usage_told

_LONGEST_EVENT = 64 * 1024 * 1024
_ENDS = frozenset(
    {
        "speech.audio.done",
        "transcript.text.done",
        "image_generation.completed",
        "image_edit.completed",
    }
)
_OF_PICTURES = frozenset({"image_generation.completed", "image_edit.completed"})


class _Event(Struct):
    type: str | None = None
    usage: Told | None = None
    error: Raw = Raw(b"null")  # optional, it would not be kept raw


_event = msgspec.json.Decoder(_Event)


class MediaTap:
    """Follows one stream."""

    __slots__ = (
        "_held",
        "_images",
        "_pieces",
        "_size",
        "_told",
        "done",
        "events",
        "finish_reason",
        "sample",
        "size",
        "upstream_error",
    )

    def __init__(self) -> None:
        self.done = False
        self.size = 0
        self.events = 0
        self.sample = b""
        self.finish_reason: str | None = None
        self.upstream_error = b""
        self._pieces: list[bytes] = []
        self._size = 0
        self._held = b""
        self._images = 0
        self._told: Told | None = None

    def feed(self, chunk: bytes) -> bytes:
        """Whole events; of one that is cut the pieces are kept, and joined once. Raises UpstreamGarbled."""
        if self.done:
            return b""
        self.size += len(chunk)
        seam = self._pieces[-1][-3:] if self._pieces else b""
        self._pieces.append(chunk)
        self._size += len(chunk)
        if BREAK.search(seam + chunk) is None:
            if self._size > _LONGEST_EVENT:
                raise UpstreamGarbled("The upstream sent an event too long to be one.")
            return b""
        return self._whole(b"".join(self._pieces))

    def finish(self) -> bytes:
        """The event that was held back, and one that was never closed."""
        rest = self._whole(b"".join(self._pieces) + b"\n\n") if self._size else b""
        held, self._held = self._held, b""
        self.done = self.done or self.finish_reason is not None
        return rest + held

    def drop_tail(self) -> None:
        """Forget a half-received event."""
        self._pieces, self._size = [], 0

    def usage(self) -> Usage:
        """What the last complete event reported, and how many pictures there were."""
        return usage_told(self._told, images=self._images) if self.finish_reason else NO_USAGE

    def estimate(self) -> int | None:
        """Nothing is counted by what went by."""
        return None

    def _whole(self, block: bytes) -> bytes:
        out: list[bytes] = []
        start = 0
        for match in BREAK.finditer(block):
            event = block[start : match.end()]
            start = match.end()
            if self._held:
                out.append(self._held)
                self._held = b""
            if self._looked_at(event):
                self._held = event
            else:
                out.append(event)
            if self.done:
                break
        self._pieces = [block[start:]] if start < len(block) and not self.done else []
        self._size = len(block) - start if self._pieces else 0
        return b"".join(out)

    def _looked_at(self, event: bytes) -> bool:
        """Whether an event is one to hold back: it completes something, fails, or is OpenAI's word for the end."""
        data = event_json(event)
        if data.strip() == b"[DONE]":
            self.done = True
            return True
        self.events += 1
        try:
            said = _event.decode(data)
        except (msgspec.DecodeError, RecursionError):
            return False
        if said.type == "error" or bytes(said.error) != b"null":
            self.events -= 1
            self.upstream_error = event
            return False
        if said.type not in _ENDS:
            return False
        self._images += said.type in _OF_PICTURES
        self._told = said.usage or self._told
        self.finish_reason = "stop"
        return True
