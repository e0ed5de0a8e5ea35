"""Reading: Gemini's parts as ours, whichever side sent them. Pure.

What has no word of ours stays in `rest` under its own name, or is Opaque as a whole.
"""

import msgspec
from msgspec import Raw, structs

from inference.codecs.gemini.media import read_file, read_inline
from inference.codecs.gemini.seals import unseal
from inference.codecs.seal import Seal
from inference.codecs.seal import thought as sealed_thought
from inference.ir.content import (
    NO_REST,
    Audio,
    Family,
    File,
    Image,
    Opaque,
    Part,
    Reasoning,
    Rest,
    Text,
    ToolCall,
    ToolResult,
    Video,
)

MADE = "call_gemini_"
"""How an id begins that was made here, for a call that Gemini's side gave none."""

Fields = dict[str, Raw]

_fields = msgspec.json.Decoder(Fields)
_list = msgspec.json.Decoder(list[Raw])
_text = msgspec.json.Decoder(str)
_maybe = msgspec.json.Decoder(str | None)
_ENVELOPES = ("output", "error")
"""The two fields Google reserves in a function's answer for a plain one (its API reference, FunctionResponse)."""


class CallIds:
    """Gives every call an id, and finds which call an answer without one is for: the first of that name.

    `seed` keeps ids of different answers apart; they depend on nothing but the place of the call.
    """

    __slots__ = ("_made", "_open", "_seed")

    def __init__(self, seed: str = "") -> None:
        self._seed = f"{seed}_" if seed else ""
        self._made = 0
        self._open: list[tuple[str, str]] = []

    def call(self, name: str, given: str | None) -> str:
        """The id of the next call."""
        call_id = given or f"{MADE}{self._seed}{self._made}"
        self._made += 1
        self._open.append((call_id, name))
        return call_id

    def result(self, name: str | None, given: str | None) -> str | None:
        """The id of the call that is answered; None where no such call is open."""
        for place, (call_id, called) in enumerate(self._open):
            if call_id == given or (not given and called == name):
                del self._open[place]
                return call_id
        return given or None


def read_part(raw: Raw, ids: CallIds) -> Part:
    """One part. Raises msgspec.DecodeError for what is none; KeyError, naming it, for an answer without a call."""
    fields = _fields.decode(raw)
    if b"null" in bytes(raw):
        fields = {name: value for name, value in fields.items() if bytes(value) != b"null"}
    if "functionCall" in fields:
        return _call(fields, ids)
    if "functionResponse" in fields:
        return _result(fields, ids)
    if "text" in fields:
        return _said(fields)
    if "inlineData" in fields:
        return read_inline(fields.pop("inlineData"), fields or NO_REST)
    if "fileData" in fields:
        return read_file(fields.pop("fileData"), fields or NO_REST)
    return opaque(raw, fields)


def heard_part(raw: Raw, ids: CallIds) -> Part | None:
    """One part of a model's: what a tool answered is Google's own affair there, and what cannot be read is kept as it
    is. None for what is no part."""
    if b'"functionResponse"' not in bytes(raw):
        try:
            return read_part(raw, ids)
        except msgspec.DecodeError:
            pass
    try:
        return opaque(raw, _fields.decode(raw))
    except msgspec.DecodeError:
        return None


def opaque(raw: Raw, fields: Fields) -> Opaque:
    """A part only Gemini knows: code it ran, a search of its own."""
    kind = next((key for key in fields if key not in ("thought", "thoughtSignature")), "part")
    return Opaque(family=Family.GEMINI, kind=kind, raw=raw)


def _said(fields: Fields) -> Text | Reasoning:
    text = _text.decode(fields.pop("text"))
    thought = bytes(fields.pop("thought", b"")) == b"true"
    signed = _signature(fields)
    rest = fields or NO_REST
    if thought and signed is not None and signed.issuer is not Family.GEMINI:
        found = sealed_thought(text, signed)
        return structs.replace(found, rest=rest) if rest else found
    signature, issuer = (None, None) if signed is None else (signed.signature, signed.issuer)
    if thought:
        return Reasoning(text=text, signature=signature, issuer=issuer, rest=rest)
    return Text(text=text, signature=signature, issuer=issuer, rest=rest)


def _call(fields: Fields, ids: CallIds) -> ToolCall:
    call = _fields.decode(fields.pop("functionCall"))
    signed = _signature(fields)
    name = _maybe.decode(call.pop("name", b"null")) or ""
    given = _maybe.decode(call.pop("id", b"null"))
    arguments = bytes(call.pop("args", b"{}"))
    return ToolCall(
        id=ids.call(name, given),
        name=name,
        arguments="{}" if arguments == b"null" else arguments.decode(),
        signature=None if signed is None else signed.signature,
        issuer=None if signed is None else signed.issuer,
        rest=_within("functionCall", call, fields),
    )


def _result(fields: Fields, ids: CallIds) -> ToolResult:
    answer = _fields.decode(fields.pop("functionResponse"))
    name = _maybe.decode(answer.pop("name", b"null"))
    call_id = ids.result(name, _maybe.decode(answer.pop("id", b"null")))
    if call_id is None:
        raise KeyError(name or "")
    text, error = _told(answer.pop("response", Raw(b"{}")))
    media: list[Text | Image | Audio | Video | File | Opaque] = [Text(text=text)]
    for raw in _list.decode(answer.pop("parts", b"[]")):
        inner = _fields.decode(raw)
        if "inlineData" in inner:
            media.append(read_inline(inner.pop("inlineData"), inner or NO_REST))
        elif "fileData" in inner:
            media.append(read_file(inner.pop("fileData"), inner or NO_REST))
        else:
            media.append(opaque(raw, inner))
    return ToolResult(
        call_id=call_id,
        content=tuple(media),
        name=name,
        error=error,
        rest=_within("functionResponse", answer, fields),
    )


def _told(response: Raw) -> tuple[str, bool]:
    """What a function answered: the text of its only field where Google reserved that, else the object's JSON."""
    try:
        fields = _fields.decode(response)
    except msgspec.DecodeError:
        return bytes(response).decode(), False
    if len(fields) == 1:
        key, value = next(iter(fields.items()))
        if key in _ENVELOPES and bytes(value)[:1] == b'"':
            text = _text.decode(value)
            if not is_object(text):
                return text, key == "error"
    return bytes(response).decode(), False


def is_object(text: str) -> bool:
    """Whether a text is a JSON object, whole."""
    if not text.lstrip().startswith("{"):
        return False
    try:
        _fields.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True


def _signature(fields: Fields) -> Seal | None:
    """Who signed a part, and what; a wrapping that cannot be read is taken for Gemini's own, who will say so."""
    signature = _maybe.decode(fields.pop("thoughtSignature", b"null"))
    if signature is None:
        return None
    return unseal(signature) or Seal(issuer=Family.GEMINI, signature=signature)


def _within(name: str, inner: Fields, outer: Fields) -> Rest:
    """What is left of a part and of what it holds, in one map."""
    if not inner and not outer:
        return NO_REST
    return outer | {f"{name}.{key}": value for key, value in inner.items()}
