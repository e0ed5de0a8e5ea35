"""What the gateway itself says inside a stream of response events. Pure."""

import msgspec
from msgspec import Raw

from inference.codecs.sse import event_json
from inference.ir.errors import AspendosError
from inference.ir.usage import Usage
from inference.wire import Tap

_encode = msgspec.json.Encoder().encode


def event(kind: str, payload: dict[str, object]) -> bytes:
    """One event, its name in both places where clients look for it."""
    return b"event: " + kind.encode() + b"\ndata: " + _encode({"type": kind, **payload}) + b"\n\n"


def error_event(error: AspendosError, sequence: int) -> bytes:
    """An error in the midst of a stream, in words that OpenAI's SDKs raise."""
    told = {"message": error.message, "type": error.type, "param": error.param, "code": error.code}
    return event(
        "error",
        {
            "code": error.code,
            "message": error.message,
            "param": error.param,
            "sequence_number": sequence,
            "error": told,
        },
    )


class _Head(msgspec.Struct):
    response: dict[str, Raw] = {}


_head = msgspec.json.Decoder(_Head)


class ResponsesVoice:
    """How the gateway speaks inside a stream it passes on."""

    __slots__ = ("_tap",)
    end = b""

    def __init__(self, tap: Tap) -> None:
        self._tap = tap

    def broken(self, error: AspendosError) -> bytes:
        """The error as an event."""
        return error_event(error, self._tap.events)

    def cut(self, usage: Usage) -> bytes:
        """The response as it began, incomplete now; what was said before stands in the events before."""
        first = self._tap.sample.split(b"\n\n", 1)[0]
        try:
            fields: dict[str, object] = dict(_head.decode(event_json(first)).response)
        except msgspec.DecodeError:
            fields = {}
        fields |= {
            "status": "incomplete",
            "incomplete_details": {"reason": "max_output_tokens"},
            "usage": {
                "input_tokens": usage.input_tokens,
                "input_tokens_details": {"cached_tokens": usage.cache_read_tokens, "cache_write_tokens": 0},
                "output_tokens": usage.output_tokens,
                "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
                "total_tokens": usage.input_tokens + usage.output_tokens,
            },
        }
        return event("response.incomplete", {"response": fields, "sequence_number": self._tap.events})
