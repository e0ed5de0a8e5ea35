"""Items read: a list of input or output items as turns of a conversation. Pure.

What a model says in one go comes as several items in a row (reasoning, a message, calls); here that is one turn with
several parts, as every other format has it. A second message begins a new turn, so no item's name is lost.
"""

from collections.abc import Sequence

import msgspec
from msgspec import Raw

from inference.codecs.fields import Fields
from inference.codecs.responses.parts import OWN, read_parts
from inference.codecs.responses.seals import Seal, read_seal
from inference.ir.chat import Message, Role
from inference.ir.content import (
    NO_REST,
    Audio,
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
from inference.ir.errors import InvalidField
from inference.ir.place import Place

_CALLS = {"function_call": "arguments", "custom_tool_call": "input"}
_RESULTS = ("function_call_output", "custom_tool_call_output")
_ROLES = {role.value: role for role in (Role.USER, Role.ASSISTANT, Role.SYSTEM, Role.DEVELOPER)}


class ItemReader:
    """Collects turns; `at` is the path of the list in its document.

    `continued`: the list goes on from what is not here, so that results may answer calls that are not here either.
    `answer`: it is what a model said. There the result of a tool is the provider's own affair, and an item that
    cannot be read stays as it is: what stands beside it is still an answer.
    """

    def __init__(self, at: str, *, continued: bool = False, answer: bool = False) -> None:
        self._at = at
        self._answer = answer
        self.places: list[Place] = []
        """Where in the document each turn stands."""
        self._turns: list[Message] = []
        self._parts: list[Part] = []
        self._ats: list[str] = []
        self._said_at: str | None = None
        self._id: str | None = None
        self._rest: Rest = NO_REST
        self._spoken = False
        self._seals: list[Seal] = []
        self._calls: set[str] = set()
        self._opaque = continued

    def read(self, items: Sequence[Raw]) -> tuple[Message, ...]:
        """Raises InvalidField with the path of what is wrong."""
        for n, item in enumerate(items):
            at = f"{self._at}[{n}]"
            try:
                self._take(item, at)
            except InvalidField:
                if not self._answer:
                    raise
                self._keep(item, at)
        self._close()
        return tuple(self._turns)

    def _take(self, item: Raw, at: str) -> None:
        fields = Fields.of(item, at)
        kind = fields.text("type") or _untyped(fields)
        if kind == "message":
            self._message(fields)
        elif kind in _CALLS:
            self._parts.append(self._call(fields, kind))
            self._ats.append(at)
        elif kind in _RESULTS and not self._answer:
            self._close()
            self._turns.append(Message(role=Role.TOOL, parts=(self._result(fields, kind),)))
            self.places.append(Place(at=at, parts=(at,), inner="output"))
        elif kind == "reasoning":
            self._reasoning(fields)
        else:
            self._opaque = True  # what it holds is not known, a call perhaps
            self._parts.append(Opaque(family=OWN, kind=kind, raw=item))
            self._ats.append(at)

    def _keep(self, item: Raw, at: str) -> None:
        """What cannot be read, whole; nothing where it is no item at all."""
        if bytes(item).startswith(b"{"):
            self._parts.append(Opaque(family=OWN, kind="unread", raw=item))
            self._ats.append(at)

    def _message(self, fields: Fields) -> None:
        said = fields.text("role")
        if said is None and not self._answer:
            raise fields.missing("role")
        role = _ROLES.get(said or "assistant")
        if role is None:
            raise fields.wrong("role", "expected `user`, `assistant`, `system` or `developer`")
        parts, ats = _placed(fields, "content", answer=self._answer)
        name = fields.text("id")
        rest = _without_status(fields) or NO_REST
        if role is not Role.ASSISTANT:
            self._close()
            self._turns.append(Message(role=role, parts=parts, id=name, rest=rest))
            self.places.append(Place(at=fields.path, parts=ats))
            return
        if self._spoken:
            self._close()
        self._spoken, self._id, self._rest, self._said_at = True, name, rest, fields.path
        self._parts += parts
        self._ats += ats

    def _call(self, fields: Fields, kind: str) -> ToolCall:
        call_id = fields.needed("call_id")
        self._calls.add(call_id)
        return ToolCall(
            id=call_id,
            name=fields.needed("name"),
            arguments=fields.text(_CALLS[kind]) or "",
            custom=kind == "custom_tool_call",
            item_id=fields.text("id"),
            rest=_without_status(fields) or NO_REST,
        )

    def _result(self, fields: Fields, kind: str) -> ToolResult:
        call_id = fields.needed("call_id")
        if call_id not in self._calls and not self._opaque:
            raise InvalidField(
                f"No tool call found for the output with call_id {call_id}: the call it answers has to come before "
                "it, in `input` or in the response that `previous_response_id` names.",
                param=fields.at("call_id"),
                code="tool_call_not_found",
            )
        content = tuple(
            part
            for part in _content(fields, "output")
            if isinstance(part, Text | Image | Audio | Video | File | Opaque)
        )
        rest = _without_status(fields) or NO_REST
        return ToolResult(
            call_id=call_id, content=content, custom=kind == "custom_tool_call_output", rest=rest
        )

    def _reasoning(self, fields: Fields) -> None:
        sealed = fields.text("encrypted_content")
        seal = None if sealed is None else read_seal(sealed)
        if seal is not None and (seal.call is not None or seal.text):
            self._apply(seal, fields.path)
            return
        summaries = tuple(
            Fields.of(raw, f"{fields.path}.summary").text("text") or "" for raw in fields.items("summary")
        )
        content = fields.raw("content")
        thoughts = [] if content is None else _listed(content, fields.at("content"))
        text = "".join(Fields.of(raw, f"{fields.path}.content").text("text") or "" for raw in thoughts)
        name, rest = fields.text("id"), _without_status(fields)
        if content is not None and len(thoughts) > 1:
            rest = {**rest, "content": content}
        self._parts.append(
            Reasoning(
                text=text,
                summaries=summaries,
                signature=seal.signature if seal else None,
                redacted=seal.redacted if seal else None,
                issuer=seal.issuer if seal else None,
                id=name,
                rest=rest or NO_REST,
            )
        )
        self._ats.append(fields.path)

    def _apply(self, seal: Seal, at: str) -> None:
        """Give a signature back to the call it belongs to, or to the text right before it. Without such a text it is
        that of one in which nothing is said."""
        last = self._parts[-1] if self._parts else None
        if seal.text and not (isinstance(last, Text) and last.signature is None):
            self._parts.append(Text(text="", signature=seal.signature, issuer=seal.issuer))
            self._ats.append(at)
            return
        for place in range(len(self._parts) - 1, -1, -1):
            part = self._parts[place]
            if (part is last and seal.text) or (isinstance(part, ToolCall) and part.id == seal.call):
                assert isinstance(part, Text | ToolCall)
                signed = msgspec.structs.replace(part, signature=seal.signature, issuer=seal.issuer)
                self._parts[place] = signed
                return

    def _close(self) -> None:
        if self._parts or self._spoken:
            turn = Message(role=Role.ASSISTANT, parts=tuple(self._parts), id=self._id, rest=self._rest)
            self._turns.append(turn)
            self.places.append(Place(at=self._said_at or self._ats[0], parts=tuple(self._ats)))
        self._parts, self._id, self._rest, self._spoken = [], None, NO_REST, False
        self._ats, self._said_at = [], None


def _untyped(fields: Fields) -> str:
    """Only messages go without a type, and references, which have nothing but an id."""
    return (
        "item_reference" if "id" in fields and "role" not in fields and "content" not in fields else "message"
    )


def _placed(fields: Fields, key: str, *, answer: bool = False) -> tuple[tuple[Part, ...], tuple[str, ...]]:
    """What stands in a field, and where each of it does."""
    alone, path = fields.is_text(key), fields.at(key)
    parts = _content(fields, key, answer=answer)
    return parts, (path,) if alone else tuple([f"{path}[{n}]" for n in range(len(parts))])


def _content(fields: Fields, key: str, *, answer: bool = False) -> tuple[Part, ...]:
    """Text, or a list of parts."""
    raw = fields.raw(key)
    if raw is None:
        return ()
    if bytes(raw).startswith(b'"'):
        return (Text(text=Fields.string(raw, fields.at(key))),)
    if not bytes(raw).startswith(b"["):
        raise fields.wrong(key, "expected a string or an array of parts")
    return read_parts(_list(raw), fields.at(key), answer=answer)


def _listed(raw: Raw, path: str) -> list[Raw]:
    """Raises InvalidField for what is no array."""
    if not bytes(raw).startswith(b"["):
        raise Fields.fault(path, "expected an array of parts")
    return _list(raw)


def _without_status(fields: Fields) -> Rest:
    """What nobody took. That an item is complete is what every item is, unless it says otherwise."""
    rest = fields.rest()
    if bytes(rest.get("status", b"")) == b'"completed"':
        del rest["status"]
    return rest


_list = msgspec.json.Decoder(list[Raw]).decode
