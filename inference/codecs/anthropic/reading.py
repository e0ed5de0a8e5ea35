"""Reading: Anthropic's content blocks into parts, in requests and answers alike. Pure.

Blocks nobody else has a word for (a search on Anthropic's side, code it ran, a compaction) stay whole, as Opaque.
(https://docs.anthropic.com/en/api/messages)
"""

from collections.abc import Callable

import msgspec
from msgspec import Raw, Struct

from inference.codecs.anthropic.fields import DottedFields
from inference.codecs.anthropic.seals import read_seal, unseal
from inference.codecs.body import raw
from inference.codecs.mending import mended
from inference.ir.content import (
    NO_REST,
    CacheHint,
    Citation,
    Family,
    File,
    Image,
    Opaque,
    Part,
    Reasoning,
    Rest,
    Source,
    Text,
    ToolCall,
    ToolResult,
)
from inference.ir.errors import InvalidField

SEARCH_RESULT = "search_result"
_ANSWER_PARTS = (Text, Image, File, Opaque)


def read_content(raw: Raw, path: str) -> tuple[Part, ...]:
    """A message's content: a string, or blocks. Raises InvalidField."""
    first = bytes(raw)[:1]
    if first == b'"':
        return (Text(text=DottedFields.string(raw, path)),)
    if first != b"[":
        raise DottedFields.fault(path, "expected a string or an array of content blocks")
    return tuple([read_block(block) for block in DottedFields.each(raw, path)])


def read_block(block: DottedFields) -> Part:
    """One block. Raises InvalidField."""
    kind = block.needed("type")
    reader = _READERS.get(kind)
    return _opaque(block, kind) if reader is None else reader(block)


def read_cache(fields: DottedFields) -> CacheHint | None:
    """The mark up to which a prompt is cached. Raises InvalidField."""
    mark = fields.inner("cache_control")
    if mark is None:
        return None
    if mark.needed("type") != "ephemeral":
        raise mark.wrong("type", "expected `ephemeral`")
    ttl = mark.text("ttl")
    if ttl not in (None, "5m", "1h"):
        raise mark.wrong("ttl", "expected `5m` or `1h`")
    return CacheHint.ONE_HOUR if ttl == "1h" else CacheHint.FIVE_MINUTES


def read_citation(raw: Raw) -> Citation:
    """A citation, its own words kept. Raises InvalidField."""
    fields = DottedFields.each(Raw(b"[" + bytes(raw) + b"]"), "citation")[0]
    return Citation(
        url=fields.text("url"),
        title=fields.text("title") or fields.text("document_title"),
        cited=fields.text("cited_text"),
        family=Family.ANTHROPIC,
        raw=raw,
    )


def heard_citation(raw: Raw) -> Citation:
    """One of a model's; what cannot be read of it stays in its own words. Never fails."""
    try:
        return read_citation(raw)
    except InvalidField:
        return Citation(family=Family.ANTHROPIC, raw=raw)


class _Heard(Struct):
    type: str = ""
    text: str | None = None
    thinking: str | None = None
    signature: str | None = None
    id: str | None = None
    name: str | None = None


def heard_block(raw: Raw) -> Part | None:
    """A block of a model's that `read_block` refuses: its words, or all of it unread; None where it is no block."""
    try:
        said = mended(raw, _Heard)
    except msgspec.DecodeError:
        return None
    match said:
        case _Heard(type="text"):
            return Text(text=said.text or "")
        case _Heard(type="thinking"):
            return unseal(said.thinking or "", said.signature or "")
        case _Heard(type="tool_use", id=str(given), name=str(name)):
            return ToolCall(id=given, name=name)
        case _:
            return Opaque(family=Family.ANTHROPIC, kind=said.type or "unread", raw=raw)


def _opaque(block: DottedFields, kind: str) -> Opaque:
    block.keep("type", raw(kind))
    return Opaque(family=Family.ANTHROPIC, kind=kind, raw=block.whole())


def _text(block: DottedFields) -> Text:
    text, cache, cited = block.needed("text"), read_cache(block), block.raw("citations")
    if cited is None:
        return Text(text=text, cache=cache, rest=block.rest())
    if bytes(cited)[:1] != b"[":
        raise block.wrong("citations", "expected an array of citations")
    citations = tuple(read_citation(each.whole()) for each in DottedFields.each(cited, block.at("citations")))
    return Text(text=text, cache=cache, citations=citations, rest=block.rest())


def _source(block: DottedFields) -> tuple[Source | None, str | None]:
    """The bytes' source, or the text that stands for it; neither where only Anthropic knows what it is."""
    before = block.raw("source")
    if before is None:
        raise block.missing("source")
    block.keep("source", before)
    found = block.inner("source")
    assert found is not None
    match found.needed("type"):
        case "base64":
            source = Source(data=found.needed("data"), media_type=found.needed("media_type"))
        case "url":
            source = Source(url=found.needed("url"))
        case "file":
            source = Source(file_id=found.needed("file_id"))
        case "text":
            return None, found.needed("data")
        case "content":
            block.keep("source", before)
            return None, _words(found)
        case _:
            block.keep("source", before)
            return None, None
    return source, None


def _words(given: DottedFields) -> str | None:
    """What text blocks say, one after the other; None where there is anything else among them."""
    content = given.raw("content")
    parts = () if content is None else read_content(content, given.at("content"))
    texts = [part.text for part in parts if isinstance(part, Text)]
    return "\n\n".join(texts) if texts and len(texts) == len(parts) else None


def _search_result(block: DottedFields) -> File | Opaque:
    """What a client's own search found: a text with its source, for whoever has no word for such."""
    whole = _opaque(block, SEARCH_RESULT)
    given = DottedFields.of(whole.raw, block.path)
    text, title, cache = _words(given), given.text("title"), read_cache(given)
    if text is None:
        return whole
    return File(text=text, title=title, cache=cache, rest={SEARCH_RESULT: whole.raw})


def _image(block: DottedFields) -> Image | Opaque:
    source, _ = _source(block)
    if source is None:
        return _opaque(block, "image")
    return Image(source=source, cache=read_cache(block), rest=block.rest())


def _document(block: DottedFields) -> File | Opaque:
    source, text = _source(block)
    if source is None and text is None:
        return _opaque(block, "document")
    cites = block.inner("citations")
    return File(
        source=source,
        text=text,
        title=block.text("title"),
        context=block.text("context"),
        citations=None if cites is None else cites.flag("enabled"),
        cache=read_cache(block),
        rest=block.rest(),
    )


def _thinking(block: DottedFields) -> Reasoning | Text:
    said, signature = block.needed("thinking"), block.text("signature") or ""
    seal = read_seal(signature)
    if seal is not None and seal.text:  # of the text before it, which has no field for it
        return Text(text=said, signature=seal.signature, issuer=seal.issuer, rest=block.rest())
    thought = unseal(said, signature)
    return thought if not (rest := block.rest()) else _with_rest(thought, rest)


def _with_rest(thought: Reasoning, rest: Rest) -> Reasoning:
    return Reasoning(
        text=thought.text,
        signature=thought.signature,
        redacted=thought.redacted,
        issuer=thought.issuer,
        id=thought.id,
        rest=rest,
    )


def _redacted(block: DottedFields) -> Reasoning:
    return Reasoning(redacted=block.needed("data"), issuer=Family.ANTHROPIC, rest=block.rest())


def _tool_use(block: DottedFields) -> ToolCall:
    given = block.raw("input")
    if given is None or bytes(given)[:1] != b"{":
        raise block.wrong("input", "expected an object", code="missing_field" if given is None else None)
    sealed = block.text("signature")
    signed = None if sealed is None else unseal("", sealed)
    return ToolCall(
        id=block.needed("id"),
        name=block.needed("name"),
        arguments=bytes(given).decode(),
        signature=None if signed is None else signed.signature,
        issuer=None if signed is None else signed.issuer,
        cache=read_cache(block),
        rest=block.rest(),
    )


def _tool_result(block: DottedFields) -> ToolResult:
    call_id, content = block.needed("tool_use_id"), block.raw("content")
    parts = () if content is None else read_content(content, block.at("content"))
    answered: list[Text | Image | File | Opaque] = []
    for at, part in enumerate(parts):
        if not isinstance(part, _ANSWER_PARTS):
            raise block.wrong(f"content.{at}.type", "a tool's result cannot hold such a block")
        answered.append(part)
    return ToolResult(
        call_id=call_id,
        content=tuple(answered),
        error=bool(block.flag("is_error")),
        cache=read_cache(block),
        rest=block.rest() or NO_REST,
    )


_READERS: dict[str, Callable[[DottedFields], Part]] = {
    "text": _text,
    "image": _image,
    "document": _document,
    SEARCH_RESULT: _search_result,
    "thinking": _thinking,
    "redacted_thinking": _redacted,
    "tool_use": _tool_use,
    "tool_result": _tool_result,
}
