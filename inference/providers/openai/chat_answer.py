"""What OpenAI's chat format says in whole answers and in streams alike: why it ended, ids, failures. Pure."""

from collections.abc import Sequence

import msgspec
from msgspec import Raw, Struct

from inference.codecs.url_citations import read_annotation
from inference.ir.completion import Finish
from inference.ir.content import Citation, Source
from inference.ir.errors import AspendosError, UpstreamGarbled
from inference.providers.openai.errors import read_error, stream_status
from inference.providers.openai.usage import is_null

_FINISH = {
    "stop": Finish.STOP,
    "eos": Finish.STOP,
    "end_turn": Finish.STOP,
    "stop_sequence": Finish.STOP,
    "length": Finish.LENGTH,
    "max_tokens": Finish.LENGTH,
    "model_length": Finish.LENGTH,
    "tool_calls": Finish.TOOL_CALLS,
    "function_call": Finish.TOOL_CALLS,
    "content_filter": Finish.FILTER,
    "sensitive": Finish.FILTER,
    "safety": Finish.FILTER,
    "refusal": Finish.REFUSAL,
    "context_window_exceeded": Finish.CONTEXT,
    "model_context_window_exceeded": Finish.CONTEXT,
    "error": Finish.ERROR,
    "abort": Finish.ERROR,
    "network_error": Finish.ERROR,
    "insufficient_system_resource": Finish.ERROR,
}
"""OpenAI's words; `eos` is Together's, `sensitive` and `network_error` z.ai's, `model_length` Mistral's,
`insufficient_system_resource` DeepSeek's, `abort` vLLM's."""


def finish_of(word: str, *, called: bool) -> Finish:
    """Why it stopped. A forced call ends with `stop`, yet the client has to answer it like any other."""
    found = _FINISH.get(word) or _FINISH.get(word.lower(), Finish.OTHER)
    return Finish.TOOL_CALLS if called and found is Finish.STOP else found


def call_id(answer: str | None, number: int) -> str:
    """An id for a call that came without one, the same each time, and another in each answer."""
    return f"call_{(answer or '').rpartition('-')[2][-24:]}{number}"


class Url(Struct):
    url: str


class ImageItem(Struct):
    """`images` of an answer, as OpenRouter and others write what a model drew."""

    image_url: Url | None = None


class Speech(Struct):
    """`audio` of an answer."""

    id: str | None = None
    data: str | None = None
    transcript: str | None = None
    expires_at: int | None = None


class Google(Struct):
    thought_signature: str | None = None


class ExtraContent(Struct):
    """Where Google's OpenAI-compatible server has its signatures."""

    google: Google | None = None


def signature_of(extra: ExtraContent | None) -> str | None:
    return extra.google.thought_signature if extra is not None and extra.google is not None else None


def read_logprobs(raw: Raw) -> Raw | None:
    """Log probabilities as OpenAI writes them, lists by name; None for what is none, or no such object."""
    if is_null(raw):
        return None
    try:
        _logprobs.decode(raw)
    except (msgspec.DecodeError, RecursionError):
        return None
    return raw


def read_annotations(raws: Sequence[Raw] | None) -> tuple[Citation, ...]:
    """The citations among a message's `annotations`."""
    return tuple([read_annotation(raw) for raw in raws or () if bytes(raw).startswith(b"{")])


def drawn(url: str) -> Source:
    """A picture of the model's, by value or by address."""
    head, comma, data = url.partition(",")
    if comma and head.startswith("data:") and head.endswith(";base64"):
        return Source(data=data, media_type=head[5:-7] or None)
    return Source(url=url)


_logprobs = msgspec.json.Decoder(dict[str, list[Raw] | None])
_NO_FAILURE = (b"{}", b'""', b"[]", b"false")
"""What some write where others write null, or nothing."""


def failure(error: Raw) -> AspendosError | None:
    """An error reported with status 200, mapped like the refusal it would have been; None where there is none.

    OpenRouter and others give the status as `code`; without one, and without a word that tells it, it is the
    upstream's own failure.
    """
    if is_null(error) or bytes(error) in _NO_FAILURE:
        return None
    return failed(b'{"error":' + bytes(error) + b"}")


def failed(body: bytes) -> AspendosError:
    """The same for an error that is all that an event or answer says."""
    return read_error(stream_status(body) or 500, None, body)


class _Plain(Struct):
    object: str | None = None
    id: Raw = Raw(b"null")
    message: Raw = Raw(b"null")
    detail: Raw = Raw(b"null")


_plain = msgspec.json.Decoder(_Plain)


def plain_failure(data: bytes) -> AspendosError | None:
    """An error that has no `error` around it, as Mistral and older vLLM servers tell it inside a stream."""
    try:
        said = _plain.decode(data)
    except msgspec.DecodeError:
        return None
    told = not is_null(said.message) or not is_null(said.detail)
    if said.object == "error" or (told and said.object is None and is_null(said.id)):
        return failed(data)
    return None


class _Broken(Struct):
    error: Raw = Raw(b"null")


class _Report(Struct):
    error: Raw = Raw(b"null")
    choices: list[_Broken | None] | None = None


_report = msgspec.json.Decoder(_Report)


def reported(body: bytes) -> AspendosError | None:
    """The error that a whole answer of status 200 tells instead of anything else, or in the place of a choice."""
    try:
        said = _report.decode(body)
    except (msgspec.DecodeError, RecursionError):
        return None
    errors = [said.error, *(each.error for each in said.choices or () if each is not None)]
    found = next((error for error in map(failure, errors) if error is not None), None)
    return found or (None if said.choices else plain_failure(body))


def garbled(what: str) -> UpstreamGarbled:
    return UpstreamGarbled(f"The upstream's answer {what}.")
