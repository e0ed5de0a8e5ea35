"""A whole answer of Cohere's v2/chat, read. Pure. (https://docs.cohere.com/reference/chat)"""

import msgspec
from msgspec import Raw, Struct

from inference.codecs.mending import mended
from inference.ir.completion import Choice, Completion, Finish, unfinished
from inference.ir.content import Citation, Family, Opaque, Part, Reasoning, Text, ToolCall
from inference.ir.errors import UpstreamGarbled
from inference.providers.cohere.usage import Reported, usage_of

FINISHES = {
    "COMPLETE": Finish.STOP,
    "STOP_SEQUENCE": Finish.STOP,
    "MAX_TOKENS": Finish.LENGTH,
    "TOOL_CALL": Finish.TOOL_CALLS,
    "ERROR": Finish.ERROR,
    "TIMEOUT": Finish.ERROR,
    "ERROR_TOXIC": Finish.FILTER,
    "ERROR_LIMIT": Finish.CONTEXT,
}
"""The last two are of older models. Which sequence stopped an answer is not told."""


class Function(Struct, frozen=True):
    name: str = ""
    arguments: str | None = None


class Call(Struct, frozen=True):
    id: str = ""
    function: Function = Function()


class _Message(Struct, frozen=True):
    content: list[Raw] | None = None
    tool_plan: str | None = None
    tool_calls: list[Call] | None = None
    citations: list[Raw] | None = None


class _Answer(Struct, frozen=True):
    message: _Message
    id: str | None = None
    finish_reason: str | None = None
    usage: Reported | None = None


class _Block(Struct, frozen=True):
    type: str = ""
    text: str | None = None
    thinking: str | None = None


class _Page(Struct, frozen=True):
    url: str | None = None
    title: str | None = None


class _Source(Struct, frozen=True):
    document: _Page | None = None


class _Cited(Struct, frozen=True):
    start: int | None = None
    end: int | None = None
    content_index: int | None = None
    type: str | None = None
    sources: list[_Source] | None = None


_answer = msgspec.json.Decoder(_Answer)
_block = msgspec.json.Decoder(_Block)
_cited = msgspec.json.Decoder(_Cited)
_NEEDED = frozenset({"content", "tool_calls", "name", "arguments", "tool_plan"})


def read_completion(body: bytes) -> Completion:
    """Raises UpstreamGarbled for what is no answer, UpstreamFailed for one that failed, half said or not at all."""
    try:
        answer = _read(body)
        parts = _parts(answer.message)
    except (msgspec.DecodeError, RecursionError):
        raise UpstreamGarbled("The upstream's answer is no chat of Cohere's.") from None
    native = answer.finish_reason
    finish = FINISHES.get(native or "", Finish.OTHER)
    if finish is Finish.ERROR:
        raise unfinished(native)
    return Completion(
        family=Family.COHERE,
        id=answer.id,
        choices=(Choice(parts=parts, finish=finish, native=native),),
        usage=usage_of(answer.usage),
    )


def _read(body: bytes) -> _Answer:
    try:
        return _answer.decode(body)
    except msgspec.ValidationError:
        return mended(body, _Answer, _NEEDED)


def read_citation(given: Raw) -> tuple[int | None, Citation] | None:
    """The index of the block of text that is meant, where it is said, and the citation.

    None for one that is not about text: Cohere also says where its plans and thoughts come from, for which nobody
    else has a place. None too for what is no citation at all: the words it is about are what matters.
    """
    try:
        cited = _cited.decode(given)
    except (msgspec.DecodeError, RecursionError):
        return None
    if cited.type not in (None, "TEXT_CONTENT"):
        return None
    page = next((source.document for source in cited.sources or () if source.document), _Page())
    return cited.content_index, Citation(
        url=page.url,
        title=page.title,
        start=cited.start,
        end=cited.end,
        family=Family.COHERE,
        raw=given.copy(),
    )


def _parts(message: _Message) -> tuple[Part, ...]:
    """In the order of a stream: what is thought, the plan that comes of it, what is said, the calls."""
    parts: list[Part] = []
    found = [cited for each in message.citations or () if (cited := read_citation(each)) is not None]
    for place, given in enumerate(message.content or ()):
        if bytes(given) == b"null":
            continue
        block = _block.decode(given)
        if block.type == "text":
            cited = [citation for at, citation in found if at == place]
            cited += [citation for at, citation in found if at is None]
            found = [(at, citation) for at, citation in found if at not in (None, place)]
            if block.text or cited:
                parts.append(Text(text=block.text or "", citations=tuple(cited)))
        elif block.type == "thinking":
            if block.thinking:
                parts.append(Reasoning(text=block.thinking))
        else:
            parts.append(Opaque(family=Family.COHERE, kind=block.type, raw=given.copy()))
    if message.tool_plan:
        said = (at for at, part in enumerate(parts) if not isinstance(part, Reasoning))
        parts.insert(next(said, len(parts)), Reasoning(text=message.tool_plan))
    for call in message.tool_calls or ():
        function = call.function
        parts.append(ToolCall(id=call.id, name=function.name, arguments=function.arguments or "{}"))
    return tuple(parts)
