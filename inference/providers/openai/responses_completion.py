"""A whole response of the Responses format as a Completion. Pure."""

from typing import cast

import msgspec
from msgspec import Raw, Struct

from inference.codecs.mending import mended
from inference.codecs.responses.items import ItemReader
from inference.ir.completion import Choice, Completion, Finish
from inference.ir.content import NO_REST, Family, Part, Rest, Text, ToolCall
from inference.ir.errors import InvalidField, UpstreamGarbled
from inference.ir.usage import Usage
from inference.providers.openai.responses_usage import ResponseUsage, read_failure, usage_of
from inference.providers.openai.usage import is_null

_NULL = Raw(b"null")
_KEPT = ("moderation", "content_filters", "status_details")
"""Fields that say something of the answer itself. All others repeat the request, or are read."""


class Incomplete(Struct):
    reason: str | None = None


class _Searches(Struct):
    num_requests: int = 0


class _ToolUsage(Struct):
    web_search: _Searches | None = None


class ResponseHead(Struct):
    """What is read of a response object; `output` are its items as they came."""

    id: str | None = None
    model: str | None = None
    created_at: float | None = None
    status: str | None = None
    incomplete_details: Incomplete | None = None
    error: Raw = _NULL
    output: list[Raw] | None = None
    usage: ResponseUsage | None = None
    service_tier: str | None = None
    tool_usage: _ToolUsage | None = None
    moderation: Raw = _NULL
    content_filters: Raw = _NULL
    status_details: Raw = _NULL


_head = msgspec.json.Decoder(ResponseHead)
_NEEDED = frozenset({"output"})


def read_head(body: bytes | Raw) -> ResponseHead:
    """Raises UpstreamGarbled for what is no response."""
    try:
        return _head.decode(body)
    except msgspec.ValidationError:
        pass
    except (msgspec.DecodeError, RecursionError):
        raise UpstreamGarbled("The upstream's answer is no response object.") from None
    try:
        return mended(body, ResponseHead, _NEEDED)
    except msgspec.DecodeError:
        raise UpstreamGarbled("The upstream's answer is no response object.") from None


def counted(head: ResponseHead) -> Usage:
    """Its usage, what its own tools did included."""
    usage = usage_of(head.usage)
    tools = head.tool_usage
    if tools is None or tools.web_search is None or tools.web_search.num_requests <= 0:
        return usage
    return msgspec.structs.replace(usage, searches=tools.web_search.num_requests)


def raise_failure(head: ResponseHead) -> None:
    """Raises what a response reports that failed, or that is nothing but an error."""
    if head.status == "failed" or (head.output is None and not is_null(head.error)):
        raise read_failure(head.error)


def read_completion(body: bytes) -> Completion:
    """Raises UpstreamGarbled for what is no answer, the failure that a response with status `failed` reports."""
    head = read_head(body)
    raise_failure(head)
    if head.output is None:
        raise UpstreamGarbled("The upstream's answer has no output.")
    parts, rest = read_output(head.output)
    called = any(isinstance(part, ToolCall) for part in parts)
    finish = finish_of(head, called=called)
    logprobs = _logprobs(parts)
    choice = Choice(
        parts=tuple(_plain(part) for part in parts),
        finish=finish,
        native=native_of(head) if finish is not None else None,
        logprobs=logprobs,
        rest=rest,
    )
    return Completion(
        family=Family.OPENAI_RESPONSES,
        id=head.id,
        model=head.model,
        created=int(head.created_at) if head.created_at is not None else None,
        choices=(choice,),
        usage=counted(head),
        service_tier=head.service_tier,
        rest=rest_of(head),
    )


def read_output(items: list[Raw]) -> tuple[list[Part], Rest]:
    """The parts of an answer, and the fields of its message that only this format knows. Raises UpstreamGarbled."""
    parts: list[Part] = []
    rest: Rest = {}
    try:
        for message in ItemReader("output", answer=True).read(items):
            parts += message.parts
            rest |= message.rest
    except InvalidField as error:
        raise UpstreamGarbled(f"The upstream's answer cannot be read: {error.message}") from None
    return parts, rest or NO_REST


def finish_of(head: ResponseHead, *, called: bool) -> Finish | None:
    """Why it ended; None while it has not."""
    if head.status in ("queued", "in_progress"):
        return None
    if head.status == "incomplete":
        reason = head.incomplete_details.reason if head.incomplete_details else None
        found = {"max_output_tokens": Finish.LENGTH, "content_filter": Finish.FILTER}
        return found.get(reason or "", Finish.OTHER)
    if head.status == "cancelled":
        return Finish.OTHER
    return Finish.TOOL_CALLS if called else Finish.STOP


def native_of(head: ResponseHead) -> str | None:
    """The provider's own word for it."""
    details = head.incomplete_details
    return (details.reason if details is not None else None) or head.status


def rest_of(head: ResponseHead) -> Rest:
    """What only this format tells of an answer."""
    found = {key: cast(Raw, getattr(head, key)) for key in _KEPT}
    return {
        key: value for key, value in found.items() if bytes(value) not in (b"null", b"[]", b"{}")
    } or NO_REST


def _logprobs(parts: list[Part]) -> Raw | None:
    """Of all texts, in the one list that the neutral form has for an answer."""
    found: list[Raw] = []
    for part in parts:
        if isinstance(part, Text) and bytes(part.rest.get("logprobs", b"")).startswith(b"["):
            found += msgspec.json.decode(part.rest["logprobs"], type=list[Raw])
    return Raw(msgspec.json.encode({"content": found})) if found else None


def _plain(part: Part) -> Part:
    """A text without the log probabilities that stand beside the answer."""
    if isinstance(part, Text) and "logprobs" in part.rest:
        left = {key: value for key, value in part.rest.items() if key != "logprobs"}
        return msgspec.structs.replace(part, rest=left or NO_REST)
    return part
