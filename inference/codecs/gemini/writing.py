"""Writing: our parts as Gemini's, whoever they came from; what cannot be said is named. Pure."""

from collections.abc import Callable, Mapping

import msgspec
from msgspec import Raw

from inference.codecs.arguments import object_in
from inference.codecs.gemini.media import write_medium
from inference.codecs.gemini.reading import MADE, is_object
from inference.codecs.gemini.seals import seal
from inference.codecs.seal import Seal
from inference.ir.content import (
    Audio,
    Family,
    File,
    Image,
    Opaque,
    Part,
    Reasoning,
    Refusal,
    Rest,
    Text,
    ToolCall,
    ToolResult,
    Video,
)
from inference.ir.events import Sealed

Drop = Callable[[str], None]
"""Told the name of what cannot be said, below the part: `citations`, or empty for the part itself."""

Written = dict[str, object]
_EMPTY = Raw(b"{}")
_LINE_ENDS = bytes.maketrans(b"\r\n", b"  ")


class NotAnObject(Exception):
    """A call's arguments are no JSON object, and Gemini has no other."""


def write_part(
    part: Part, drop: Drop, *, own: bool, names: Mapping[str, str], answer: bool = False
) -> Written | Raw | None:
    """One part, None where nothing of it can be said. `own`: it comes from Gemini's family. `names`: of calls, by id.

    `answer`: it is a model's for a client, who is to give back what another family signed. Raises NotAnObject.
    """
    if part.__class__ is not Opaque and getattr(part, "cache", None) is not None:
        drop("cache_control")
    match part:
        case Text():
            return _text(part, drop, own=own, answer=answer)
        case Reasoning():
            return _thought(part, drop, own=own, answer=answer)
        case ToolCall():
            return _call(part, drop, own=own, answer=answer)
        case ToolResult():
            return _result(part, drop, own=own, names=names)
        case Refusal():
            return {"text": part.text} if part.text else None
        case Opaque():
            if part.family is Family.GEMINI:
                return part.raw
            drop("")
            return None
        case _:
            return _medium(part, drop, own=own)


def _text(part: Text, drop: Drop, *, own: bool, answer: bool) -> Written | None:
    made: Written = {"text": part.text}
    if part.citations:
        drop("citations")
    _sign(made, part, drop, answer=answer)
    _rest(made, part.rest, drop, own=own)
    return made if part.text or own or len(made) > 1 else None


def _thought(part: Reasoning, drop: Drop, *, own: bool, answer: bool) -> Written | None:
    if part.redacted is not None and not answer:
        drop("redacted")
    text = part.text or "\n\n".join(part.summaries)
    made: Written = {"text": text, "thought": True}
    _sign(made, part, drop, answer=answer)
    _rest(made, part.rest, drop, own=own)
    return made if text or own or len(made) > 2 else None


def _call(part: ToolCall, drop: Drop, *, own: bool, answer: bool) -> Written:
    call: Written = {}
    if not (own and part.id.startswith(MADE)):
        call["id"] = part.id
    call["name"] = part.name
    call["args"] = write_arguments(part)
    made: Written = {"functionCall": call}
    _sign(made, part, drop, answer=answer)
    _rest(made, part.rest, drop, own=own)
    return made


def write_arguments(part: ToolCall) -> Raw:
    """The arguments as an object, as the model wrote them but on one line. Raises NotAnObject."""
    text = part.arguments
    if part.custom:
        return Raw(msgspec.json.encode({"input": text}))
    if not text.strip():
        return _EMPTY
    found = object_in(text)
    if found is None:
        raise NotAnObject(text)
    return Raw(_one_line(found))


def _one_line(given: Raw) -> bytes:
    """JSON in which a line's end can only be space between two values: it would end an event of a stream."""
    return bytes(given).translate(_LINE_ENDS)


def _result(part: ToolResult, drop: Drop, *, own: bool, names: Mapping[str, str]) -> Written:
    answer: Written = {}
    if not (own and part.call_id.startswith(MADE)):
        answer["id"] = part.call_id
    answer["name"] = part.name or names.get(part.call_id, "")
    texts: list[str] = []
    media: list[Written | Raw] = []
    for place, inner in enumerate(part.content):
        below = _below(drop, place)
        if isinstance(inner, Text):
            texts.append(inner.text)
            if inner.citations:
                below("citations")
            if inner.rest and not own:
                _rest({}, inner.rest, below, own=own)
            continue
        written = write_part(inner, below, own=own, names=names)
        if isinstance(written, dict) and "text" in written:
            texts.append(str(written["text"]))
        elif written is not None:
            media.append(written)
    text = "\n".join(texts)
    if is_object(text):
        answer["response"] = Raw(text.encode())
    else:
        answer["response"] = {"error" if part.error else "output": text}
    if media:
        answer["parts"] = media
    made: Written = {"functionResponse": answer}
    _rest(made, part.rest, drop, own=own)
    return made


def _below(drop: Drop, place: int) -> Drop:
    return lambda name: drop(f"content[{place}].{name}" if name else f"content[{place}]")


def _medium(part: Image | Audio | Video | File, drop: Drop, *, own: bool) -> Written | None:
    if isinstance(part, Image) and part.detail not in (None, "auto"):
        drop("detail")
    if isinstance(part, File):
        for name in ("title", "context", "citations"):
            if getattr(part, name) is not None:
                drop(name)
        if part.source is None:
            return {"text": part.text} if part.text else None
    source = part.source
    if source is None:
        return None
    if source.file_id is not None and not own:
        drop("")  # an upload to another provider: nothing that could be fetched
        return None
    made: Written = write_medium(part, source)
    _rest(made, part.rest, drop, own=own)
    return made


def _sign(made: Written, part: Text | Reasoning | ToolCall, drop: Drop, *, answer: bool) -> None:
    """Gemini's own signature as it is; another's sealed for the way through a client, and else left out."""
    if part.issuer is Family.GEMINI and part.signature is not None:
        made["thoughtSignature"] = part.signature
    elif answer:
        sealed = sealed_signature(part)
        if sealed is not None:
            made["thoughtSignature"] = sealed
    elif part.signature is not None:
        drop("signature")


def sealed_signature(part: Text | Reasoning | ToolCall | Sealed) -> str | None:
    """What another family issued, as a client of Gemini's dialect takes it; None where there is nothing."""
    redacted = None if isinstance(part, Text | ToolCall) else part.redacted
    if part.issuer is None or (part.signature is None and redacted is None):
        return None
    name = None if isinstance(part, Text | ToolCall) else part.id
    return seal(Seal(issuer=part.issuer, signature=part.signature, redacted=redacted, id=name))


def _rest(made: Written, rest: Rest, drop: Drop, *, own: bool) -> None:
    """Give back what only Gemini knows, at its place; of anybody else's, say what is left out."""
    for key, value in rest.items():
        if not own:
            drop(key)
            continue
        holder, dot, name = key.partition(".")
        if dot:
            within = made.setdefault(holder, {})
            if isinstance(within, dict):
                within[name] = value  # pyright: ignore[reportUnknownMemberType] - one of the dictionaries made above
        else:
            made[key] = value
