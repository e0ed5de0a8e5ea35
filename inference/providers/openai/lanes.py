"""The passthrough lane of OpenAI's format: chat completions, completions and embeddings, patched one level deep. Pure.

Spoken by OpenAI and by every server that calls itself compatible.
(https://platform.openai.com/docs/api-reference)
"""

import re
from collections.abc import Mapping
from typing import Any, cast

import msgspec
from msgspec import Raw, Struct

from inference.codecs.body import Fields, decode_fields, encode_fields, put_salt, raw
from inference.codecs.sse import StreamTap, event_json
from inference.codecs.token_estimate import estimate_output
from inference.ir.errors import UpstreamGarbled
from inference.ir.usage import NO_USAGE, Usage, UsageSource
from inference.providers.openai.chat_answer import reported
from inference.providers.openai.usage import Reported, is_null, read_usage, usage_of
from inference.wire import Completed, Original, StreamOptions

_NULL = Raw(b"null")
"""What an absent raw field reads as: msgspec keeps a field raw only if it can be nothing else."""


class _Choice(Struct):
    finish_reason: str | None = None


class _Typed(Struct):
    usage: Reported | None = None
    choices: list[_Choice] | None = None


class _Listed(_Typed):
    """The same of answers that are in another field."""

    data: Raw = _NULL
    results: Raw = _NULL


_HOLDS = {"/embeddings": "data", "/moderations": "results"}
"""What the answer of a route is in, by the end of its path; of every other in `choices`."""


class _Groq(Struct):
    usage: Reported | None = None


class _Event(Struct):
    usage: Reported | None = None
    x_groq: _Groq | None = None


class _LooseGroq(Struct):
    usage: Raw = _NULL


class _LooseEvent(Struct):
    """The same where counts are not of the types OpenAI gives them."""

    usage: Raw = _NULL
    x_groq: _LooseGroq | None = None


_Decoder = msgspec.json.Decoder[_Typed] | msgspec.json.Decoder[_Listed]
_typed = msgspec.json.Decoder(_Typed)
_listed = msgspec.json.Decoder(_Listed)
_event = msgspec.json.Decoder(_Event)
_loose_event = msgspec.json.Decoder(_LooseEvent)
_options = msgspec.json.Decoder(dict[str, Raw])
_anything = msgspec.json.Decoder()
_TRUE = Raw(b"true")
_NOTHING_ASKED = StreamOptions()
_CONTINUOUS, _REPORTED = UsageSource.CONTINUOUS, UsageSource.REPORTED
_REASONS = re.compile(r"(openai/)?(o\d|gpt-[5-9])")


def takes_completion_limit(model: str) -> bool:
    """Everybody but OpenAI's reasoning models takes `max_tokens`; those take only `max_completion_tokens`."""
    return _REASONS.match(model) is not None


class OpenAITap(StreamTap):
    """A tap that can read the usage it remembered. `continuous`: it came with every event."""

    __slots__ = ("_every_event",)

    def __init__(self, *, hide_usage: bool, hide_continuous: bool, continuous: bool) -> None:
        super().__init__(hide_usage=hide_usage, hide_continuous=hide_continuous)
        self._every_event = continuous

    def usage(self) -> Usage:
        """The last usage the stream reported, NO_USAGE if it reported none."""
        if not self.usage_event:
            return NO_USAGE
        source = _CONTINUOUS if self._every_event and not self.done else _REPORTED
        data = event_json(self.usage_event)
        try:
            event = _event.decode(data)
        except msgspec.ValidationError:
            return _loose_usage(data, source)
        except (msgspec.DecodeError, RecursionError):
            return NO_USAGE
        said = event.usage
        if said is None and event.x_groq is not None:
            said = event.x_groq.usage
        return NO_USAGE if said is None else usage_of(said, source)

    def estimate(self) -> int | None:
        """Tokens delivered so far; None where nothing came."""
        return estimate_output(self.events, self.size, self.sample) if self.events else None


class OpenAILane:
    """One route of the format. `continuous_usage`: the server can tell usage after each event of a stream."""

    def __init__(self, path: str, *, continuous_usage: bool = False) -> None:
        self._path = path
        self._continuous = continuous_usage
        self._holds = _HOLDS.get(path[path.rfind("/") :])
        self._decoder: _Decoder = _typed if self._holds is None else _listed
        self._options = self._with_usage({})
        """What is asked of a stream whose client wrote nothing of that."""

    def path(self, model: str, *, stream: bool) -> str:
        """Below the base URL; the same for every model."""
        return self._path

    def request(self, asked: Original, model: str) -> bytes:
        """The body to send: the client's, with `model` and, for streams, `stream_options` patched.

        A limit goes into the field the client used for that, if it used one. When nothing has to change the bytes
        are the client's own.
        """
        if not asked.stream and asked.model == model and not asked.hints and asked.max_output is None:
            return asked.body
        return encode_fields(self._patched(asked, model))

    def salted(self, asked: Original, model: str, salt: tuple[str, str]) -> bytes:
        """The same with a field, by name and value, that keeps caches apart."""
        fields = self._patched(asked, model)
        put_salt(fields, *salt)
        return encode_fields(fields)

    def _patched(self, asked: Original, model: str) -> Fields:
        fields = decode_fields(asked.body)
        fields.pop("aspendos", None)
        if asked.model != model:
            fields["model"] = raw(model)
        max_output = asked.max_output
        if max_output is not None:
            modern = "max_completion_tokens" in fields or takes_completion_limit(model)
            fields.pop("max_tokens", None)
            fields["max_completion_tokens" if modern else "max_tokens"] = raw(max_output)
        if asked.stream:
            given = fields.get("stream_options")
            fields["stream_options"] = (
                self._options if is_null(given) else self._with_usage(_options.decode(given or b"{}"))
            )
        return fields

    def completion(self, body: bytes) -> Completed:
        """Usage and finish reason of a whole response.

        Raises UpstreamGarbled when it is no JSON object or holds no answer, an AspendosError for a failure reported
        with status 200.
        """
        try:
            usage, said = _measure(body, self._decoder)
        except (msgspec.DecodeError, RecursionError):
            raise UpstreamGarbled("The upstream's answer is not valid JSON.") from None
        choices, reason = said.choices or (), None
        for choice in choices:
            if choice.finish_reason:
                reason = choice.finish_reason
                break
        counted = usage is not NO_USAGE
        if reason == "error" or not choices:
            self._check(said, body, counted=counted)
        return Completed(usage=usage, finish_reason=reason, text=0 if counted else _text_size(body))

    def _check(self, said: _Typed, body: bytes, *, counted: bool) -> None:
        """Raises what an answer that is not told in choices says instead, UpstreamGarbled where it says nothing.

        An empty list of choices is an answer: some filter a prompt so. It is metered like any other.
        """
        holds = self._holds
        if isinstance(said, _Listed):
            given = not is_null(said.data if holds == "data" else said.results)
            if given and counted:
                return
        else:
            given = said.choices is not None
        error = reported(body)
        if error is not None:
            raise error
        if not given:
            raise UpstreamGarbled(f"The upstream's answer has no `{holds or 'choices'}`.")

    def stream(self, options: StreamOptions | None) -> OpenAITap:
        """The tap for one stream, hiding from the client what only we asked for."""
        asked = options or _NOTHING_ASKED
        return OpenAITap(
            hide_usage=not asked.include_usage,
            hide_continuous=self._continuous and not asked.continuous_usage_stats,
            continuous=self._continuous,
        )

    def _with_usage(self, options: dict[str, Raw]) -> Raw:
        options["include_usage"] = _TRUE
        if self._continuous:
            options["continuous_usage_stats"] = _TRUE
        return raw(options)


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


def _loose_usage(data: bytes, source: UsageSource) -> Usage:
    """The usage of an event whose counts have surprising types."""
    try:
        event = _loose_event.decode(data)
    except (msgspec.DecodeError, RecursionError):
        return NO_USAGE
    reported = event.usage
    if is_null(reported) and event.x_groq is not None:
        reported = event.x_groq.usage
    return read_usage(reported, source)


def _measure(body: bytes, decoder: _Decoder) -> tuple[Usage, _Typed]:
    """Usage and answer in one decoding, where they are of the types OpenAI gives them; else in several."""
    try:
        said = decoder.decode(body)
    except msgspec.ValidationError:
        return _loosely(body, listed=decoder is _listed)
    return NO_USAGE if said.usage is None else usage_of(said.usage), said


def _loosely(body: bytes, *, listed: bool) -> tuple[Usage, _Typed]:
    """The same of a valid JSON body whose fields have surprising types; of its choices only whether there are any."""
    decoded: Any = _anything.decode(body)
    if not isinstance(decoded, Mapping):
        raise UpstreamGarbled("The upstream's answer is not a JSON object.")
    fields = cast(Mapping[str, object], decoded)
    if listed:
        said = _Listed(data=raw(fields.get("data")), results=raw(fields.get("results")))
    else:
        said = _Typed(choices=[] if isinstance(fields.get("choices"), list) else None)
    return read_usage(raw(fields.get("usage"))), said
