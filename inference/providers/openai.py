"""The OpenAI wire format: chat completions, completions, embeddings. Pure.

Spoken by OpenAI and by every server that calls itself compatible; where they differ (usage of cached and
reasoning tokens, shapes of errors) the differences recorded traffic shows are read here.
(https://platform.openai.com/docs/api-reference)
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, cast

import msgspec
from msgspec import Raw, Struct

from inference.codecs.body import decode_fields, encode_fields, raw
from inference.codecs.sse import StreamTap, event_json
from inference.ir.errors import (
    AspendosError,
    UpstreamAuth,
    UpstreamFailed,
    UpstreamGarbled,
    UpstreamRateLimited,
    UpstreamRefused,
)
from inference.ir.usage import NO_USAGE, Usage, UsageSource

_NULL = Raw(b"null")
"""What an absent raw field reads as: msgspec keeps a field raw only if it can be nothing else."""


class StreamOptions(Struct, frozen=True):
    """What a client asked of a stream; anything else it wrote there is forwarded."""

    include_usage: bool | None = None
    continuous_usage_stats: bool | None = None


class Completed(Struct, frozen=True, kw_only=True):
    """What metering needs of a whole response. `text` is how many bytes it says, read only without usage."""

    usage: Usage
    finish_reason: str | None = None
    text: int = 0


class _Choice(Struct):
    finish_reason: str | None = None


class _Details(Struct):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None


class _Reported(Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    prompt_tokens_details: _Details | None = None
    completion_tokens_details: _Details | None = None
    prompt_cache_hit_tokens: int | None = None
    cached_tokens: int | None = None


class _Typed(Struct):
    usage: _Reported | None = None
    choices: list[_Choice] | None = None


class _Groq(Struct):
    usage: Raw = _NULL


class _Event(Struct):
    usage: Raw = _NULL
    x_groq: _Groq | None = None


_typed = msgspec.json.Decoder(_Typed)
_reported = msgspec.json.Decoder(_Reported)
_event = msgspec.json.Decoder(_Event)
_options = msgspec.json.Decoder(dict[str, Raw])
_anything = msgspec.json.Decoder()
_TRUE = Raw(b"true")
_MESSAGE_LIMIT = 2000
_REASONS = re.compile(r"(openai/)?(o\d|gpt-5)")
_CODE = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
"""A code is a word: it ends up in logs and usage records, where no text of anybody's belongs."""
_MOST_TOKENS = 100_000_000
"""No call has more. A report beyond it, or below zero, is not believed: the call is counted instead."""


class OpenAI:
    """The four pure methods of a wire format."""

    path: ClassVar[Mapping[str, str]] = {
        "chat": "/chat/completions",
        "completions": "/completions",
        "embeddings": "/embeddings",
    }
    probe: ClassVar[str] = "/models"
    """What to GET to learn whether a key is good."""
    continuous_usage = False

    def credential(self, key: str) -> tuple[str, str]:
        """The header that carries a key, and its value."""
        return "authorization", f"Bearer {key}"

    def request(
        self,
        body: bytes,
        *,
        asked: str,
        model: str,
        stream: bool,
        hints: bool = False,
        max_output: int | None = None,
    ) -> bytes:
        """The body to send: the client's, with `model` and, for streams, `stream_options` patched.

        `asked` is the name the client used, `hints` says that it sent routing hints under `aspendos`, which
        are taken out. `max_output` limits each answer, in the field the client used for that, if it used one.
        When nothing has to change the bytes are the client's own.
        """
        if not stream and asked == model and not hints and max_output is None:
            return body
        fields = decode_fields(body)
        fields.pop("aspendos", None)
        fields["model"] = raw(model)
        if max_output is not None:
            # Everybody but OpenAI's reasoning models takes `max_tokens`, and those take only the other.
            modern = "max_completion_tokens" in fields or _REASONS.match(model) is not None
            fields.pop("max_tokens", None)
            fields["max_completion_tokens" if modern else "max_tokens"] = raw(max_output)
        if stream:
            fields["stream_options"] = self._stream_options(fields.get("stream_options"))
        return encode_fields(fields)

    def completion(self, body: bytes) -> Completed:
        """Usage and finish reason of a whole response. Raises UpstreamGarbled when it is no JSON object."""
        try:
            usage, choices = _measure(body)
        except (msgspec.DecodeError, RecursionError):
            raise UpstreamGarbled("The upstream's answer is not valid JSON.") from None
        reason = None
        for choice in choices:
            if choice.finish_reason:
                reason = choice.finish_reason
                break
        counted = usage.source is not UsageSource.NONE
        return Completed(usage=usage, finish_reason=reason, text=0 if counted else _text_size(body))

    def stream(self, options: StreamOptions | None) -> StreamTap:
        """The tap for one stream, hiding from the client what only we asked for."""
        asked = options or StreamOptions()
        return StreamTap(
            hide_usage=not asked.include_usage,
            hide_continuous=self.continuous_usage and not asked.continuous_usage_stats,
        )

    def stream_usage(self, tap: StreamTap) -> Usage:
        """The last usage a stream reported, NO_USAGE if it reported none."""
        if not tap.usage_event:
            return NO_USAGE
        try:
            event = _event.decode(event_json(tap.usage_event))
        except (msgspec.DecodeError, RecursionError):
            return NO_USAGE
        reported = event.usage
        if _is_null(reported) and event.x_groq is not None:
            reported = event.x_groq.usage
        source = UsageSource.REPORTED if tap.done or not self.continuous_usage else UsageSource.CONTINUOUS
        return read_usage(reported, source)

    def error(self, status: int, retry_after: float | None, body: bytes) -> AspendosError:
        """An upstream's refusal as one of ours, its own message kept.

        Read by status, never by words. Accepts OpenAI's `{"error": {...}}`, vLLM's `{"error": "..."}`,
        and the `{"message": ...}` and `{"detail": ...}` of others.
        """
        message, code, param = _read_error(body)
        said = f": {message}" if message else "."
        if status in (401, 402, 403):
            return UpstreamAuth(
                "The upstream refused this gateway's own credentials; your key is fine. "
                "Whoever runs the gateway has to mend its provider key."
            )
        if status == 429:
            return UpstreamRateLimited(
                f"The upstream is limiting requests{said}", code=code, retry_after=retry_after
            )
        if status in (408, 425) or status >= 500:
            ours = {503: 503, 529: 503, 504: 504, 408: 504}.get(status, 502)
            return UpstreamFailed(
                f"The upstream failed with status {status}{said}", retry_after=retry_after, status=ours
            )
        if 400 <= status < 500:
            return UpstreamRefused(
                message or f"The upstream refused the request with status {status}.",
                code=code,
                param=param,
                status=status if status in (400, 404, 409, 413, 415, 422) else 400,
            )
        return UpstreamGarbled(f"The upstream answered with unexpected status {status}.")

    def _stream_options(self, given: Raw | None) -> Raw:
        options: dict[str, Raw] = {} if _is_null(given) else _options.decode(given or b"{}")
        options["include_usage"] = _TRUE
        if self.continuous_usage:
            options["continuous_usage_stats"] = _TRUE
        return raw(options)


def read_usage(reported: Raw, source: UsageSource = UsageSource.REPORTED) -> Usage:
    """Token counts as OpenAI and its kin report them, each token counted once.

    DeepSeek says `prompt_cache_hit_tokens`; xAI leaves reasoning out of `completion_tokens`, which shows
    in its `total_tokens`.
    """
    if _is_null(reported):
        return NO_USAGE
    try:
        said = _reported.decode(reported)
    except (msgspec.DecodeError, RecursionError):
        said = _loose_usage(reported)
        if said is None:
            return NO_USAGE
    return _usage_of(said, source)


def _usage_of(said: _Reported, source: UsageSource = UsageSource.REPORTED) -> Usage:
    given = said.prompt_tokens or 0
    made = said.completion_tokens or 0
    read = said.prompt_cache_hit_tokens or said.cached_tokens or 0
    write = thought = 0
    before, after = said.prompt_tokens_details, said.completion_tokens_details
    if before is not None:
        read = before.cached_tokens or read
        write = before.cache_write_tokens or 0
    if after is not None:
        thought = after.reasoning_tokens or 0
        if thought and said.total_tokens == given + made + thought:
            made += thought
    counts = (given, made, read, write, thought)
    if min(counts) < 0 or max(counts) > _MOST_TOKENS:
        return NO_USAGE
    return Usage(
        input_tokens=given,
        output_tokens=made,
        cache_read_tokens=read,
        cache_write_tokens=write,
        reasoning_tokens=thought,
        source=source,
    )


class _Message(Struct):
    content: str | None = None


class _Said(Struct):
    message: _Message | None = None
    text: str | None = None


class _Saying(Struct):
    choices: list[_Said] | None = None


_saying = msgspec.json.Decoder(_Saying)


def _text_size(body: bytes) -> int:
    """Bytes of text in a whole response; 0 where there is none to be found."""
    try:
        choices = _saying.decode(body).choices or ()
    except msgspec.DecodeError:
        return 0
    parts = [(choice.message.content if choice.message else None) or choice.text or "" for choice in choices]
    return sum(len(part.encode()) for part in parts)


def _is_null(value: Raw | None) -> bool:
    return value is None or bytes(value) == b"null"


def _first(*values: Raw) -> Raw:
    return next((value for value in values if not _is_null(value)), _NULL)


def _measure(body: bytes) -> tuple[Usage, Sequence[_Choice]]:
    """Usage and choices in one decoding, where they are of the types OpenAI gives them; else in several."""
    try:
        decoded = _typed.decode(body)
    except msgspec.ValidationError:
        return read_usage(_loosely(body)), ()
    return NO_USAGE if decoded.usage is None else _usage_of(decoded.usage), decoded.choices or ()


def _loosely(body: bytes) -> Raw:
    """The usage of a valid JSON body whose fields have surprising types."""
    decoded: Any = _anything.decode(body)
    if not isinstance(decoded, Mapping):
        raise UpstreamGarbled("The upstream's answer is not a JSON object.")
    usage = cast(Mapping[str, object], decoded).get("usage")
    return _NULL if usage is None else raw(usage)


def _loose_usage(reported: Raw) -> _Reported | None:
    """Counts sent as floats or beside fields of unexpected types."""
    try:
        return msgspec.convert(_anything.decode(reported), _Reported, strict=False)
    except (msgspec.DecodeError, msgspec.ValidationError, RecursionError):
        return None


class _ErrorBody(Struct):
    error: Raw = _NULL
    message: Raw = _NULL
    detail: Raw = _NULL


_error_body = msgspec.json.Decoder(_ErrorBody)


def _read_error(body: bytes) -> tuple[str, str | None, str | None]:
    """Message, code and param, as far as the body has them."""
    try:
        decoded = _error_body.decode(body)
        told: Any = _anything.decode(_first(decoded.error, decoded.message, decoded.detail))
    except (msgspec.DecodeError, RecursionError):
        return "", None, None
    if isinstance(told, str):
        return told[:_MESSAGE_LIMIT], None, None
    if not isinstance(told, dict):
        return "", None, None
    said = cast(dict[str, Any], told)
    message, code, param = said.get("message"), said.get("code"), said.get("param")
    return (
        message[:_MESSAGE_LIMIT] if isinstance(message, str) else "",
        code if isinstance(code, str) and _CODE.fullmatch(code) else None,
        param[:200] if isinstance(param, str) else None,
    )


WIRE = OpenAI()
