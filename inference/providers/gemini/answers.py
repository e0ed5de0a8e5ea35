"""Answers: the shapes of what Gemini sends, whole or event by event. Pure.

(https://ai.google.dev/api/generate-content#GenerateContentResponse)
"""

import msgspec
from msgspec import Raw, Struct

from inference.codecs.gemini.usage import UsageMetadata
from inference.codecs.mending import mended
from inference.ir.content import NO_REST, Rest

NULL = Raw(b"null")
"""What an absent raw field reads as: msgspec keeps a field raw only if it can be nothing else."""


class FunctionCall(Struct):
    name: str = ""
    args: Raw = NULL
    id: str | None = None


class StreamPart(Struct, rename="camel"):
    """A part as most events have it; any other is read again, as a whole."""

    text: str | None = None
    thought: bool | None = None
    thought_signature: str | None = None
    function_call: FunctionCall | None = None


class StreamContent(Struct):
    parts: list[StreamPart] | None = None


class Feedback(Struct, rename="camel"):
    block_reason: str | int | None = None


class Fault(Struct):
    code: int | str | None = None
    message: str | None = None
    status: str | None = None


class StreamCandidate(Struct, rename="camel"):
    content: StreamContent | None = None
    finish_reason: str | int | None = None
    index: int = 0
    finish_message: Raw = NULL
    grounding_metadata: Raw = NULL
    citation_metadata: Raw = NULL
    url_context_metadata: Raw = NULL
    safety_ratings: Raw = NULL
    avg_logprobs: Raw = NULL
    logprobs_result: Raw = NULL


class StreamEvent(Struct, rename="camel"):
    candidates: list[StreamCandidate] | None = None
    usage_metadata: UsageMetadata | None = None
    model_version: str | None = None
    response_id: str | None = None
    prompt_feedback: Raw = NULL
    create_time: str | None = None
    error: Raw = NULL


class Content(Struct):
    parts: list[Raw] | None = None


class Candidate(Struct, rename="camel"):
    content: Content | None = None
    finish_reason: str | int | None = None
    index: int = 0


class Answer(Struct, rename="camel"):
    candidates: list[Raw] | None = None
    usage_metadata: UsageMetadata | None = None
    model_version: str | None = None
    response_id: str | None = None
    create_time: str | None = None
    prompt_feedback: Raw = NULL
    error: Raw = NULL


class _Candidates(Struct):
    candidates: list[Raw] | None = None


_event = msgspec.json.Decoder(StreamEvent)
_answer = msgspec.json.Decoder(Answer)
_candidate = msgspec.json.Decoder(Candidate)
_candidates = msgspec.json.Decoder(_Candidates)
_NEEDED = frozenset({"candidates", "content", "parts", "text"})
feedback = msgspec.json.Decoder(Feedback)
fields = msgspec.json.Decoder(dict[str, Raw])


def rest_of(raw: Raw, known: frozenset[str]) -> Rest:
    """The fields of an object that nobody here reads."""
    return {key: value for key, value in fields.decode(raw).items() if key not in known} or NO_REST


def read_event(data: bytes) -> StreamEvent:
    """Raises msgspec.DecodeError for what is none."""
    try:
        return _event.decode(data)
    except msgspec.ValidationError:
        return mended(data, StreamEvent, _NEEDED)


def read_answer(body: bytes) -> Answer:
    """Raises msgspec.DecodeError for what is none."""
    try:
        return _answer.decode(body)
    except msgspec.ValidationError:
        return mended(body, Answer, _NEEDED)


def read_candidate(raw: Raw) -> Candidate:
    """Raises msgspec.DecodeError for what is none."""
    try:
        return _candidate.decode(raw)
    except msgspec.ValidationError:
        return mended(raw, Candidate, _NEEDED)


def raw_part(data: bytes, candidate: int, part: int) -> Raw:
    """One part of an event as it came. Only for those that come whole, so that reading it again costs little."""
    given = _present(_candidates.decode(data).candidates)[candidate]
    content = read_candidate(given).content
    return _present(None if content is None else content.parts)[part]


def _present(given: list[Raw] | None) -> list[Raw]:
    """Without the nulls, as they are counted where the event is read."""
    return [each for each in given or () if bytes(each) != b"null"]


def is_null(value: Raw) -> bool:
    """Whether a raw field is absent or says null."""
    return value is NULL or bytes(memoryview(value)[:4]) == b"null"
