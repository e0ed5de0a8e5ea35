"""The passthrough lanes of Claude at Bedrock: Messages by InvokeModel, and their count by CountTokens. Pure.

The body is Anthropic's own but for the model, which stands in the address, for whether it is streamed, which is
another address, and for the version and beta headers, which are fields.
(https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-anthropic-claude-messages.html)
"""

import base64

import msgspec
from msgspec import Struct

from inference.codecs.body import decode_fields, encode_fields, raw
from inference.ir.errors import UpstreamGarbled
from inference.ir.usage import Usage, UsageSource
from inference.providers.anthropic.headers import with_betas, with_version
from inference.providers.anthropic.lanes import MessagesLane
from inference.providers.bedrock.invoke_stream import InvokeTap
from inference.providers.bedrock.naming import counted_as, place
from inference.wire import Completed, StreamOptions

VERSION = "bedrock-2023-05-31"
STREAM_TYPE = b"application/vnd.amazon.eventstream"
_LEAST = 1


class _Thinking(Struct):
    budget_tokens: int | None = None


class _Count(Struct, rename="camel"):
    input_tokens: int


class _Invoked(Struct):
    body: str


class _Input(Struct, rename="camel"):
    invoke_model: _Invoked | None = None


class _Question(Struct):
    input: _Input


_question = msgspec.json.Decoder(_Question)
_thinking = msgspec.json.Decoder(_Thinking)
_count = msgspec.json.Decoder(_Count)


class InvokeLane(MessagesLane):
    """Messages."""

    stream_types: tuple[bytes, ...] = (STREAM_TYPE,)

    def __init__(self) -> None:
        super().__init__("")

    def path(self, model: str, *, stream: bool) -> str:
        """Below the base URL."""
        return place(model, "invoke-with-response-stream" if stream else "invoke")

    def told(self, body: bytes, headers: bytes) -> tuple[bytes, bytes]:
        """What the client says in headers, as fields."""
        return told(body, headers), b""

    def dressed(self, body: bytes) -> bytes:
        """As InvokeModel takes it."""
        return invoked(body)

    def stream(self, options: StreamOptions | None) -> InvokeTap:
        """The tap for one stream."""
        return InvokeTap()


class CountTokensLane(InvokeLane):
    """Counts, which cost nothing and are no answer of a model's."""

    def path(self, model: str, *, stream: bool) -> str:
        """Below the base URL; Bedrock counts by the model itself, whatever profile of it is called."""
        return place(counted_as(model) or model, "count-tokens")

    def dressed(self, body: bytes) -> bytes:
        """The question, as the request to InvokeModel that is to be counted."""
        return count_question(super().dressed(body))

    def completion(self, body: bytes) -> Completed:
        """The count in Anthropic's words. Raises UpstreamGarbled."""
        told = msgspec.json.encode({"input_tokens": read_count(body)})
        return Completed(usage=Usage(source=UsageSource.REPORTED), body=told)


def invoked(body: bytes) -> bytes:
    """A request of Anthropic's as InvokeModel takes it."""
    fields = decode_fields(body)
    fields.pop("model", None)
    fields.pop("stream", None)
    fields.pop("aspendos", None)
    fields.setdefault("anthropic_version", raw(VERSION))
    return encode_fields(fields)


def told(body: bytes, headers: bytes) -> bytes:
    """A request with what a client of Anthropic's says in headers, for which Bedrock has fields."""
    return with_version(with_betas(body, headers), headers)


def count_question(body: bytes) -> bytes:
    """The question how many tokens a request to InvokeModel is. Such a request needs a limit, which a count lacks."""
    fields = decode_fields(body)
    if "max_tokens" not in fields:
        fields["max_tokens"] = raw(_above_budget(bytes(fields.get("thinking", b"{}"))))
    inner = base64.b64encode(encode_fields(fields)).decode()
    return msgspec.json.encode({"input": {"invokeModel": {"body": inner}}})


def asked_about(body: bytes) -> bytes | None:
    """The request that is to be counted; None where this is no question about one to InvokeModel."""
    try:
        asked = _question.decode(body).input.invoke_model
    except msgspec.DecodeError:
        return None
    return None if asked is None else base64.b64decode(asked.body)


def read_count(body: bytes) -> int:
    """CountTokens' answer. Raises UpstreamGarbled."""
    try:
        return _count.decode(body).input_tokens
    except (msgspec.DecodeError, RecursionError):
        raise UpstreamGarbled("The upstream's answer is no count of tokens.") from None


def _above_budget(thinking: bytes) -> int:
    """A limit that is no mistake beside this much thinking."""
    try:
        return (_thinking.decode(thinking).budget_tokens or 0) + _LEAST
    except msgspec.DecodeError:
        return _LEAST  # the provider says what is wrong with it
