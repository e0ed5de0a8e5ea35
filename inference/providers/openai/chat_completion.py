"""A whole answer in OpenAI's chat format, read as a neutral one. Pure; what it does not know is kept under `rest`.

(https://platform.openai.com/docs/api-reference/chat/object)
"""

from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import Raw, Struct

from inference.codecs.mending import mended
from inference.codecs.reasoning_details import Detail, read_details
from inference.ir.completion import Choice, Completion, Finish, unfinished
from inference.ir.content import (
    NO_REST,
    Audio,
    Family,
    Image,
    Opaque,
    Part,
    Reasoning,
    Refusal,
    Rest,
    Source,
    Text,
    ToolCall,
)
from inference.providers.openai.chat_answer import (
    ExtraContent,
    ImageItem,
    Speech,
    call_id,
    drawn,
    failure,
    finish_of,
    garbled,
    plain_failure,
    read_annotations,
    read_logprobs,
    signature_of,
)
from inference.providers.openai.chat_plain import read_plain
from inference.providers.openai.usage import is_null, read_usage

_NULL = Raw(b"null")


class _Function(Struct):
    name: str | None = None
    arguments: Raw = _NULL
    input: str | None = None


class _Call(Struct):
    id: str | None = None
    function: _Function | None = None
    custom: _Function | None = None
    extra_content: ExtraContent | None = None


class _Message(Struct):
    """What is known of a message; `_KNOWN` are its fields."""

    role: str | None = None
    content: str | list[Raw] | None = None
    refusal: str | None = None
    reasoning: Raw = _NULL
    reasoning_content: Raw = _NULL
    thinking: Raw = _NULL
    reasoning_details: list[Detail] | None = None
    tool_calls: list[_Call] | None = None
    function_call: _Function | None = None
    annotations: list[Raw] | None = None
    images: list[ImageItem] | None = None
    audio: Speech | None = None
    extra_content: ExtraContent | None = None


_KNOWN = frozenset(_Message.__struct_fields__)
_NEEDED = frozenset({"content", "tool_calls", "name"})
_fields = msgspec.json.Decoder(dict[str, Raw])
_lists = msgspec.json.Decoder(list[dict[str, Raw]])
_list = msgspec.json.Decoder(list[Raw])
_message = msgspec.json.Decoder(_Message)
_string = msgspec.json.Decoder(str)
_integer = msgspec.json.Decoder(int)
_anything = msgspec.json.Decoder()


class CompletionReader:
    """Reads answers of one family of servers."""

    def __init__(self, family: Family = Family.OPENAI_CHAT) -> None:
        self._family = family

    def read(self, body: bytes) -> Completion:
        """Raises UpstreamGarbled, or the error that was reported with status 200; an answer that failed is one."""
        return read_plain(body, self._family) or self.read_any(body)

    def read_any(self, body: bytes) -> Completion:
        """The same field by field, whatever there is in it."""
        try:
            fields = _fields.decode(body)
            reported = failure(fields.pop("error", _NULL))
            if reported is not None:
                raise reported
            raw_choices = fields.pop("choices", None)
            if raw_choices is None:
                raise plain_failure(body) or garbled("has no choices")
            answer = _text(fields.pop("id", _NULL))
            choices = [] if is_null(raw_choices) else _objects(raw_choices)
            made = tuple(self._choice(number, each, answer) for number, each in enumerate(choices))
        except (msgspec.DecodeError, RecursionError) as error:
            raise garbled(f"is no chat completion: {str(error)[:200]}") from None
        fields.pop("object", None)
        created = fields.pop("created", _NULL)
        return Completion(
            family=self._family,
            id=answer,
            model=_text(fields.pop("model", _NULL)),
            created=_whole(created),
            choices=made,
            usage=read_usage(fields.pop("usage", _NULL)),
            service_tier=_text(fields.pop("service_tier", _NULL)),
            rest=_left(fields),
        )

    def _choice(self, number: int, fields: Rest, answer: str | None) -> Choice:
        reported = failure(fields.pop("error", _NULL))
        if reported is not None:
            raise reported
        raw = fields.pop("message", _NULL)
        message = _Message() if is_null(raw) else _read(raw)
        parts = tuple(self._parts(message, answer))
        word = _text(fields.pop("finish_reason", _NULL))
        logprobs = fields.pop("logprobs", _NULL)
        stopped = fields.get("stop_reason", _NULL)
        index = _whole(fields.pop("index", _NULL))
        beside: Rest = (
            NO_REST
            if is_null(raw)
            else {
                f"message.{name}": value
                for name, value in _fields.decode(raw).items()
                if name not in _KNOWN and not is_null(value)
            }
        )
        called = any(isinstance(part, ToolCall) for part in parts)
        finish = finish_of(word, called=called) if word else None
        if finish is Finish.ERROR:
            raise unfinished(word)
        return Choice(
            index=number if index is None else index,
            parts=parts,
            finish=finish,
            native=word or None,
            stop_sequence=_text(stopped),
            logprobs=read_logprobs(logprobs),
            rest={**_left(fields), **beside},
        )

    def _parts(self, message: _Message, answer: str | None) -> Iterator[Part]:
        yield from _thoughts(message)
        yield from self._content(message)
        if message.refusal:
            yield Refusal(text=message.refusal)
        for image in message.images or ():
            if image.image_url is not None:
                yield Image(source=drawn(image.image_url.url))
        speech = message.audio
        if speech is not None:
            yield Audio(
                source=Source(data=speech.data or ""),
                transcript=speech.transcript,
                id=speech.id,
                expires_at=speech.expires_at,
            )
        for number, call in enumerate(message.tool_calls or ()):
            if call.function is not None or call.custom is not None:
                yield _call(call, call_id(answer, number))
        if message.function_call is not None and message.function_call.name:
            yield _call(_Call(function=message.function_call), call_id(answer, 0))

    def _content(self, message: _Message) -> Iterator[Part]:
        citations = read_annotations(message.annotations)
        signature = signature_of(message.extra_content)
        content = message.content
        if isinstance(content, list):
            for item in content:
                yield from self.part(item)
            return
        if content or citations or signature:
            yield Text(
                text=content or "",
                citations=citations,
                signature=signature,
                issuer=Family.GEMINI if signature else None,
            )

    def part(self, item: Raw) -> Iterator[Part]:
        """One entry of a content that is a list."""
        if is_null(item):
            return
        if bytes(item).startswith(b'"'):
            yield Text(text=_string.decode(item))
            return
        fields = _fields.decode(item)
        kind = _text(fields.get("type", _NULL))
        match kind:
            case "text" | "output_text":
                yield Text(text=_said(fields, "text"))
            case "refusal":
                yield Refusal(text=_said(fields, "refusal"))
            case "image_url" if "image_url" in fields:
                found = msgspec.json.decode(item, type=ImageItem).image_url
                if found is not None:
                    yield Image(source=drawn(found.url))
            case _:
                yield Opaque(family=self._family, kind=kind or "unknown", raw=item)


def _objects(raw: Raw) -> list[Rest]:
    """A list's objects; a null among them is nothing."""
    try:
        return _lists.decode(raw)
    except msgspec.ValidationError:
        return [_fields.decode(each) for each in _list.decode(raw) if not is_null(each)]


def _read(raw: Raw) -> _Message:
    """A message, as far as it can be read: only its words and calls are needed."""
    try:
        return _message.decode(raw)
    except msgspec.ValidationError:
        return mended(raw, _Message, _NEEDED)


def _said(fields: Rest, name: str) -> str:
    raw = fields.get(name, _NULL)
    return "" if is_null(raw) else _string.decode(raw)


def _thoughts(message: _Message) -> Iterator[Reasoning]:
    """In details where there are any: only they have signatures; else in one of two fields."""
    plain = _text(message.reasoning_content) or _text(message.reasoning) or _text(message.thinking) or ""
    if not message.reasoning_details:
        if plain:
            yield Reasoning(text=plain)
        return
    found = read_details(message.reasoning_details)
    if plain and not any(thought.text or thought.summaries for thought in found):
        yield Reasoning(text=plain)
    yield from found


def _call(call: _Call, made_up: str) -> ToolCall:
    custom = call.custom is not None
    inner = call.custom or call.function or _Function()
    signature = signature_of(call.extra_content)
    return ToolCall(
        id=call.id if call.id and call.id != "null" else made_up,
        name=inner.name or "",
        arguments=(inner.input or "") if custom else arguments_of(inner.arguments) or "{}",
        custom=custom,
        signature=signature,
        issuer=Family.GEMINI if signature else None,
    )


def arguments_of(raw: Raw) -> str:
    """The model's own text; some servers send the object it stands for, and then that is the text."""
    if is_null(raw):
        return ""
    return _string.decode(raw) if bytes(raw).startswith(b'"') else bytes(raw).decode()


def _text(raw: Raw) -> str | None:
    """A string, None for anything else."""
    return _string.decode(raw) if bytes(raw).startswith(b'"') else None


def _whole(raw: Raw) -> int | None:
    found: Any = _anything.decode(raw)
    return int(found) if isinstance(found, (int, float)) else None


def _left(fields: Rest) -> Rest:
    return {name: value for name, value in fields.items() if not is_null(value)} or NO_REST
