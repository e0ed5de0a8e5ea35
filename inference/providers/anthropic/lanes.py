"""The passthrough lanes of Anthropic's format: messages and the count of their tokens, patched one level deep. Pure.

(https://docs.anthropic.com/en/api/messages)
"""

import msgspec
from msgspec import Raw, Struct

from inference.codecs.anthropic.call_ids import has_odd_ids, with_fitting_ids
from inference.codecs.anthropic.seals import SEAL_MARK, without_seals
from inference.codecs.anthropic.usage import Reported, usage_of
from inference.codecs.body import Fields, decode_fields, encode_fields, raw
from inference.ir.errors import UpstreamGarbled
from inference.ir.usage import UsageSource
from inference.providers.anthropic.caching import place_cache
from inference.providers.anthropic.errors import read_stream_error
from inference.providers.anthropic.tap import AnthropicTap
from inference.providers.anthropic.thinking import LEAST_BUDGET
from inference.unbilled import Unbilled
from inference.wire import Completed, Original, StreamOptions

_NULL = Raw(b"null")


class _Block(Struct):
    text: str | None = None
    thinking: str | None = None


class _Message(Struct):
    type: str | None = None
    usage: Reported | None = None
    stop_reason: str | None = None
    content: Raw = _NULL


class _Said(Struct):
    content: list[_Block] = []


class _Thinking(Struct):
    type: str = ""
    budget_tokens: int | None = None


_message = msgspec.json.Decoder(_Message)
_said = msgspec.json.Decoder(_Said)
_thinking = msgspec.json.Decoder(_Thinking)
_object = msgspec.json.Decoder(dict[str, Raw])


class MessagesLane:
    """Messages, and what a client of Anthropic's dialect sends to any path beside them."""

    def __init__(self, path: str) -> None:
        self._path = path

    def path(self, model: str, *, stream: bool) -> str:
        """Below the base URL; the same for every model."""
        return self._path

    def request(self, asked: Original, model: str) -> bytes:
        """The client's bytes, with `model` and, where it is limited, `max_tokens` patched, without others' seals, and
        with others' ids of calls in letters that Anthropic takes.

        A thinking budget has to stay below `max_tokens`: it is lowered with it, and where the limit leaves no room
        for the least there is, the model is not made to think.
        """
        body, max_output = asked.body, asked.max_output
        sealed, odd = SEAL_MARK in body, has_odd_ids(body)
        if asked.model == model and not asked.hints and max_output is None and not (sealed or odd):
            return self.dressed(body)
        fields = decode_fields(body)
        if sealed and "messages" in fields:
            fields["messages"] = without_seals(fields["messages"])
        if odd and "messages" in fields:
            fields["messages"] = with_fitting_ids(fields["messages"])
        fields.pop("aspendos", None)
        fields["model"] = raw(model)
        if max_output is not None:
            fields["max_tokens"] = raw(max_output)
            _lower_budget(fields, max_output)
        return self.dressed(encode_fields(fields))

    def dressed(self, body: bytes) -> bytes:
        """A request as whoever serves Claude wants it: Anthropic itself as it is."""
        return body

    def cached(self, body: bytes) -> bytes:
        """The body with marks up to which it is cached, where the client placed none."""
        fields = decode_fields(body)
        place_cache(fields)
        return encode_fields(fields)

    def completion(self, body: bytes) -> Completed:
        """Usage and finish reason of a whole response.

        Raises UpstreamGarbled when it is no message, an AspendosError for a failure reported with status 200.
        """
        try:
            message = _message.decode(body)
        except (msgspec.DecodeError, RecursionError):
            raise UpstreamGarbled("The upstream's answer is not valid JSON of a message.") from None
        if message.type == "error":
            raise read_stream_error(body)
        if message.content == _NULL:
            raise UpstreamGarbled("The upstream's answer has no content.")
        usage = usage_of(message.usage)
        counted = usage.source is not UsageSource.NONE
        return Completed(
            usage=usage, finish_reason=message.stop_reason, text=0 if counted else _text_size(body)
        )

    def stream(self, options: StreamOptions | None) -> AnthropicTap:
        """The tap for one stream."""
        return AnthropicTap()


class CountLane(Unbilled, MessagesLane):
    """Counts of tokens, which cost nothing and are no answer of a model's."""


def _lower_budget(fields: Fields, max_output: int) -> None:
    given = fields.get("thinking")
    if given is None:
        return
    try:
        budget = _thinking.decode(given).budget_tokens
        thinking = _object.decode(given)
    except msgspec.DecodeError:
        return  # the provider says what is wrong with it
    if budget is None or budget < max_output:
        return
    if max_output > LEAST_BUDGET:
        fields["thinking"] = raw({**thinking, "budget_tokens": max_output - 1})
    else:
        del fields["thinking"]


def _text_size(body: bytes) -> int:
    """Bytes of text in a whole response; 0 where there is none to be found."""
    try:
        blocks = _said.decode(body).content
    except msgspec.DecodeError:
        return 0
    return sum(len((block.text or block.thinking or "").encode()) for block in blocks)
