"""Errors as OpenAI's SDKs read them, whole and inside a stream. Pure."""

import msgspec
from msgspec import Raw

from gateway.dialects.dialect import Request
from inference.codecs.sse import data_event, event_json
from inference.ir.errors import AspendosError
from inference.ir.usage import Usage
from inference.wire import Tap

_encode = msgspec.json.Encoder().encode
_sample = msgspec.json.Decoder(dict[str, Raw])

DONE = b"data: [DONE]\n\n"


def error_body(error: AspendosError, request_id: str | None = None) -> bytes:
    """OpenAI's error object, the one its SDKs read: message, type, param, code."""
    return _encode(
        {"error": {"message": error.message, "type": error.type, "param": error.param, "code": error.code}}
    )


class OpenAIVoice:
    """How the gateway speaks inside a stream of chat completions or completions."""

    __slots__ = ("_request", "_tap")
    end = DONE

    def __init__(self, tap: Tap, request: Request) -> None:
        self._tap = tap
        self._request = request

    def broken(self, error: AspendosError) -> bytes:
        """The error as an event, which OpenAI's SDKs raise."""
        return data_event(error_body(error))

    def cut(self, usage: Usage) -> bytes:
        """A finish reason, and usage where it was asked for."""
        options = self._request.options
        told = usage if options is not None and options.include_usage else None
        return closing_events(self._tap.sample, told)


def closing_events(sample: bytes, usage: Usage | None) -> bytes:
    """The end of a stream that the gateway cuts at its own maximum: a finish reason, and usage where it was asked for.

    `sample` is an event of the stream, whose id, model and time the new ones take over.
    """
    try:
        fields = _sample.decode(event_json(sample))
    except msgspec.DecodeError:
        fields = {}
    kind = bytes(fields.get("object", b""))
    fields.pop("usage", None)
    fields.pop("obfuscation", None)
    choice: dict[str, object] = {"index": 0, "finish_reason": "length"}
    choice |= {"text": ""} if kind == b'"text_completion"' else {"delta": {}}
    events = data_event(_encode({**fields, "choices": [choice]}))
    if usage is not None:
        counts = {
            "prompt_tokens": usage.input_tokens,
            "completion_tokens": usage.output_tokens,
            "total_tokens": usage.input_tokens + usage.output_tokens,
        }
        events += data_event(_encode({**fields, "choices": [], "usage": counts}))
    return events
