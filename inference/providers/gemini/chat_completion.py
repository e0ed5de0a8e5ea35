"""A whole answer of Gemini's, read. Pure. (https://ai.google.dev/api/generate-content#GenerateContentResponse)"""

from datetime import datetime

import msgspec
from msgspec import Raw, structs

from inference.codecs.gemini.finish import read_finish, word
from inference.codecs.gemini.grounding import read_citations
from inference.codecs.gemini.logprobs import read_logprobs
from inference.codecs.gemini.reading import CallIds, heard_part
from inference.codecs.gemini.usage import read_usage
from inference.ir.completion import Choice, Completion, Finish, unfinished
from inference.ir.content import Citation, Family, Part, Rest, Text, ToolCall
from inference.ir.errors import UpstreamGarbled
from inference.providers.gemini import answers
from inference.providers.gemini.chat_plain import read_plain
from inference.providers.gemini.errors import read_fault

_KNOWN = frozenset({"content", "finishReason", "index", "logprobsResult"})
_TOP = frozenset({"candidates", "usageMetadata", "modelVersion", "responseId", "createTime"})


def read_completion(body: bytes) -> Completion:
    """Raises UpstreamGarbled for what is no answer, an AspendosError for a failure, reported with 200 or as its end."""
    return read_plain(body) or read_any(body)


def read_any(body: bytes) -> Completion:
    """The same part by part, whatever there is in it."""
    try:
        said = answers.read_answer(body)
        if not answers.is_null(said.error):
            raise read_fault(body)
        ids = CallIds(said.response_id or "")
        choices = tuple(_choice(raw, ids) for raw in said.candidates or () if bytes(raw) != b"null")
        rest = answers.rest_of(Raw(body), _TOP)
        service_tier = said.usage_metadata.service_tier if said.usage_metadata is not None else None
    except (msgspec.DecodeError, RecursionError, KeyError):
        raise UpstreamGarbled("The upstream's answer is no answer of Gemini's.") from None
    if not choices:
        choices = (refused(said.prompt_feedback),)
    return Completion(
        family=Family.GEMINI,
        id=said.response_id,
        model=said.model_version,
        created=seconds(said.create_time),
        choices=choices,
        usage=read_usage(said.usage_metadata),
        service_tier=service_tier,
        rest=rest,
    )


def refused(prompt_feedback: Raw) -> Choice:
    """The one choice of a prompt that was not answered. Raises UpstreamGarbled where no reason is given either."""
    reason = blocked(prompt_feedback)
    if reason is None:
        raise UpstreamGarbled("The upstream's answer holds no candidates, and no reason why not.")
    return Choice(finish=Finish.FILTER, native=reason)


def blocked(prompt_feedback: Raw) -> str | None:
    """Why a prompt was refused, None where it was not."""
    if answers.is_null(prompt_feedback):
        return None
    try:
        reason = answers.feedback.decode(prompt_feedback).block_reason
    except msgspec.DecodeError:
        return None
    return None if reason is None else str(reason)


def seconds(timestamp: str | None) -> int | None:
    """Unix seconds of an RFC 3339 time; None where it is none."""
    if timestamp is None:
        return None
    try:
        return int(datetime.fromisoformat(timestamp[:19] + "+00:00").timestamp())
    except ValueError:
        return None


def _choice(raw: Raw, ids: CallIds) -> Choice:
    said = answers.read_candidate(raw)
    rest = answers.rest_of(raw, _KNOWN)
    given = said.content.parts if said.content is not None else None
    parts: list[Part] = [part for each in given or () if (part := heard_part(each, ids)) is not None]
    if "groundingMetadata" in rest:
        _cite(parts, rest["groundingMetadata"])
    calls = any(isinstance(part, ToolCall) for part in parts)
    reason = word(said.finish_reason)
    finish = None if reason is None else read_finish(reason, calls=calls)
    if finish is Finish.ERROR:
        raise unfinished(reason)
    return Choice(
        parts=tuple(parts),
        finish=finish,
        native=reason,
        index=said.index,
        logprobs=_logprobs(raw),
        rest=rest,
    )


def _logprobs(raw: Raw) -> Raw | None:
    result = answers.fields.decode(raw).get("logprobsResult")
    return None if result is None else read_logprobs(result)


def _cite(parts: list[Part], grounding: Raw) -> None:
    """Give the citations to the text they are about: their places count from the beginning of all of it."""
    texts = [(place, part) for place, part in enumerate(parts) if isinstance(part, Text)]
    before = 0
    left = list(read_citations(grounding, "".join(part.text for _, part in texts)))
    for place, part in texts:
        after = before + len(part.text)
        mine = [c for c in left if before <= (c.start or 0) < after]
        if mine:
            left = [c for c in left if c not in mine]
            parts[place] = structs.replace(part, citations=tuple(_moved(c, before) for c in mine))
        before = after


def _moved(citation: Citation, by: int) -> Citation:
    if not by:
        return citation
    end = None if citation.end is None else citation.end - by
    return structs.replace(citation, start=(citation.start or 0) - by, end=end)


def rest_fields(said: answers.StreamCandidate) -> Rest:
    """What an event says of a candidate that only Gemini knows."""
    found: Rest = {}
    for name, value in (
        ("finishMessage", said.finish_message),
        ("groundingMetadata", said.grounding_metadata),
        ("citationMetadata", said.citation_metadata),
        ("urlContextMetadata", said.url_context_metadata),
        ("safetyRatings", said.safety_ratings),
        ("avgLogprobs", said.avg_logprobs),
    ):
        if not answers.is_null(value):
            found[name] = value
    return found
