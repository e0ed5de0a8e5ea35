"""The messages of a chat as OpenAI's clients write them, read as neutral ones. Pure.

What an answer of ours said in fields beside OpenAI's own (thoughts, signatures, pictures) is understood when the
client sends the message back. (https://platform.openai.com/docs/api-reference/chat/create, `messages`)
"""

from collections.abc import Iterator

import msgspec

from gateway.dialects.openai_chat.content import read_content, read_part
from inference.codecs.fields import Fields
from inference.codecs.reasoning_details import Detail, read_details
from inference.codecs.url_citations import read_annotation
from inference.ir.chat import Message, Role
from inference.ir.content import (
    Audio,
    Family,
    File,
    Image,
    Opaque,
    Part,
    Reasoning,
    Refusal,
    Source,
    Text,
    ToolCall,
    ToolResult,
    Video,
)
from inference.ir.errors import InvalidField

_ROLES = {str(role): role for role in Role} | {"function": Role.TOOL}
_details = msgspec.json.Decoder(list[Detail])


def read_messages(body: Fields) -> tuple[Message, ...]:
    """Raises InvalidField for a message of no known role, or a tool's answer to no call."""
    reader = _Reader()
    return tuple(reader.message(each) for each in body.inners("messages"))


class _Reader:
    """Remembers the calls that were made, so that a result is known to answer one."""

    def __init__(self) -> None:
        self._calls: dict[str, bool] = {}
        """Ids of the calls so far, and whether of a custom tool."""
        self._functions: dict[str, str] = {}
        """Calls of the older kind have no id: by name, the one made up for the last."""

    def message(self, message: Fields) -> Message:
        said = message.needed("role")
        role = _ROLES.get(said)
        if role is None:
            raise message.wrong("role", f"{said!r} is none of {', '.join(sorted(_ROLES))}")
        name = message.text("name")
        if role is Role.TOOL:
            parts: tuple[Part, ...] = (self._result(message, name, older=said == "function"),)
            name = None
        elif role is Role.ASSISTANT:
            parts = tuple(self._assistant(message))
        else:
            parts = tuple(read_content(message))
        return Message(role=role, parts=parts, name=name, rest=message.rest())

    def _result(self, message: Fields, name: str | None, *, older: bool) -> ToolResult:
        if older:
            call_id = self._functions.get(name or "")
            if call_id is None:
                raise message.wrong("name", "no function of this name was called before")
        else:
            call_id = message.needed("tool_call_id")
            if call_id not in self._calls:
                raise message.wrong(
                    "tool_call_id",
                    f"no assistant message before it has a tool call with the id {call_id!r}",
                    code="tool_call_not_found",
                )
        return ToolResult(
            call_id=call_id,
            name=name,
            custom=self._calls.get(call_id, False),
            content=tuple(_results(message)),
        )

    def _assistant(self, message: Fields) -> Iterator[Part]:
        yield from _thoughts(message)
        parts = list(read_content(message))
        citations = tuple(read_annotation(each) for each in message.items("annotations"))
        signature = _thought_signature(message)
        if citations or signature is not None:
            _annotate(
                parts,
                msgspec.structs.replace(
                    Text(text=""),
                    citations=citations,
                    signature=signature,
                    issuer=None if signature is None else Family.GEMINI,
                ),
            )
        yield from parts
        refusal = message.text("refusal")
        if refusal is not None:
            yield Refusal(text=refusal)
        for number, image in enumerate(message.items("images")):
            yield read_part(image, f"{message.at('images')}[{number}]")
        audio = message.inner("audio")
        if audio is not None:
            spoken = audio.needed("id")
            yield Audio(source=Source(file_id=spoken), id=spoken)
        for call in message.inners("tool_calls"):
            yield self._call(call)
        function = message.inner("function_call")
        if function is not None:
            call_id = f"call_{len(self._calls) + 1}"
            made = ToolCall(
                id=call_id, name=function.needed("name"), arguments=function.text("arguments") or ""
            )
            self._calls[call_id] = False
            self._functions[made.name] = call_id
            yield made

    def _call(self, call: Fields) -> ToolCall:
        call_id, kind = call.needed("id"), call.text("type") or "function"
        if kind not in ("function", "custom"):
            raise call.wrong("type", f"{kind!r} is neither function nor custom")
        inner = call.inner(kind)
        if inner is None:
            raise call.missing(kind)
        custom = kind == "custom"
        self._calls[call_id] = custom
        call.raw("index")
        signature = _thought_signature(call)
        return ToolCall(
            id=call_id,
            name=inner.needed("name"),
            arguments=inner.text("input" if custom else "arguments") or "",
            custom=custom,
            signature=signature,
            issuer=None if signature is None else Family.GEMINI,
            rest=call.rest(),
        )


def _thoughts(message: Fields) -> Iterator[Reasoning]:
    """Thoughts as our answers, and those of OpenAI's kin, have them."""
    raw = message.raw("reasoning_details")
    plain = message.text("reasoning_content") or ""
    plain = (message.text("reasoning") if message.is_text("reasoning") else None) or plain
    if raw is None:
        if plain:
            yield Reasoning(text=plain)
        return
    try:
        found = read_details(_details.decode(raw))
    except msgspec.DecodeError as error:
        where = message.at("reasoning_details")
        raise InvalidField(f"Invalid value for `{where}`: {error}.", param=where) from None
    if plain and found and not any(thought.text or thought.summaries for thought in found):
        found[0] = msgspec.structs.replace(found[0], text=plain)
    yield from found


def _annotate(parts: list[Part], marks: Text) -> None:
    """Citations and signature stand beside the text in these words, in it in ours."""
    for number in range(len(parts) - 1, -1, -1):
        part = parts[number]
        if isinstance(part, Text):
            parts[number] = msgspec.structs.replace(
                part, citations=marks.citations, signature=marks.signature, issuer=marks.issuer
            )
            return
    parts.append(marks)


def _thought_signature(fields: Fields) -> str | None:
    """Google's signature, where its own OpenAI-compatible server has it.

    (https://ai.google.dev/gemini-api/docs/thought-signatures, OpenAI compatibility)
    """
    if "extra_content" not in fields:
        return None
    extra = fields.inner("extra_content")
    google = None if extra is None else extra.inner("google")
    return None if google is None else google.text("thought_signature")


def _results(message: Fields) -> Iterator[Text | Image | Audio | Video | File | Opaque]:
    for part in read_content(message):
        if isinstance(part, Text | Image | Audio | Video | File | Opaque):
            yield part
