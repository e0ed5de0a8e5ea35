"""The OpenAI dialect: what its clients send, understood only as far as the gateway must. Pure.

(https://platform.openai.com/docs/api-reference: chat completions, completions, embeddings)
"""

from typing import ClassVar

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from gateway.tags import check_tags, split_tags
from inference.codecs.body import check_text, explain
from inference.codecs.sse import data_event, event_json
from inference.ir.cards import Kind
from inference.ir.errors import AspendosError, InvalidField
from inference.ir.usage import Usage
from inference.providers.openai import StreamOptions


class Request(Struct, frozen=True, kw_only=True):
    """What a client asks for. `prompt` is raw JSON, kept for counting when nobody else counted.

    `max_output` is the client's limit for one answer in tokens, `answers` how many it wants. `tags` are its own
    words for whoever reads the bill (`{"project": "atlas"}`).
    """

    model: str
    stream: bool
    options: StreamOptions | None
    hints: bool
    prompt: bytes
    max_output: int | None = None
    answers: int = 1
    pictures: int = 0
    audio: bool = False
    tags: dict[str, str] | None = None


class Hints(Struct, frozen=True):
    """What a request says to the gateway itself, under `aspendos`; it is not forwarded."""

    tags: dict[str, str] | list[str] | None = None


class ChatBody(Struct, frozen=True, kw_only=True):
    """The fields of a chat completion the gateway looks at; all others are forwarded as they came."""

    model: str
    messages: Raw
    tools: Raw | UnsetType = UNSET
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    n: int | None = None
    aspendos: Hints | UnsetType | None = UNSET


class CompletionBody(Struct, frozen=True, kw_only=True):
    """The same for a legacy completion; `prompt` is a string, strings, tokens or lists of tokens."""

    model: str
    prompt: Raw
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    n: int | None = None
    best_of: int | None = None
    aspendos: Hints | UnsetType | None = UNSET


class EmbeddingBody(Struct, frozen=True, kw_only=True):
    """The same for embeddings."""

    model: str
    input: Raw
    dimensions: int | None = None
    aspendos: Hints | UnsetType | None = UNSET


_chat = msgspec.json.Decoder(ChatBody)
_completion = msgspec.json.Decoder(CompletionBody)
_embedding = msgspec.json.Decoder(EmbeddingBody)


class Chat:
    """POST /v1/chat/completions"""

    route: ClassVar[str] = "chat"
    kind: ClassVar[Kind] = Kind.CHAT

    @staticmethod
    def decode(body: bytes) -> Request:
        """Raises BadRequest, InvalidJSON or InvalidField."""
        check_text(body)
        try:
            asked = _chat.decode(body)
        except (msgspec.DecodeError, RecursionError) as error:
            raise explain(body, error) from None
        messages = bytes(asked.messages)
        if not messages.startswith(b"["):
            raise InvalidField(
                "Invalid value for `messages`: expected an array of messages.", param="messages"
            )
        if not messages[1:-1].strip():
            raise InvalidField(
                "Invalid value for `messages`: expected at least one message.", param="messages"
            )
        return Request(
            model=asked.model,
            stream=bool(asked.stream),
            options=asked.stream_options,
            hints=asked.aspendos is not UNSET,
            prompt=messages if asked.tools is UNSET else messages + bytes(asked.tools),
            max_output=_least(asked.max_completion_tokens, asked.max_tokens),
            answers=asked.n or 1,
            pictures=_pictures(messages),
            audio=b'"input_audio"' in messages,
            tags=_tags(asked.aspendos),
        )


class Completions:
    """POST /v1/completions"""

    route: ClassVar[str] = "completions"
    kind: ClassVar[Kind] = Kind.CHAT

    @staticmethod
    def decode(body: bytes) -> Request:
        """Raises BadRequest, InvalidJSON or InvalidField."""
        check_text(body)
        try:
            asked = _completion.decode(body)
        except (msgspec.DecodeError, RecursionError) as error:
            raise explain(body, error) from None
        prompt = bytes(asked.prompt)
        if prompt[:1] not in (b'"', b"["):
            raise InvalidField(
                "Invalid value for `prompt`: expected a string, an array of strings or arrays of tokens.",
                param="prompt",
            )
        return Request(
            model=asked.model,
            stream=bool(asked.stream),
            options=asked.stream_options,
            hints=asked.aspendos is not UNSET,
            prompt=prompt,
            max_output=16 if asked.max_tokens is None else _least(asked.max_tokens),
            answers=max(asked.n or 1, asked.best_of or 1) * _prompts(prompt),
            tags=_tags(asked.aspendos),
        )


class Embeddings:
    """POST /v1/embeddings"""

    route: ClassVar[str] = "embeddings"
    kind: ClassVar[Kind] = Kind.EMBEDDING

    @staticmethod
    def decode(body: bytes) -> Request:
        """Raises BadRequest, InvalidJSON or InvalidField."""
        check_text(body)
        try:
            asked = _embedding.decode(body)
        except (msgspec.DecodeError, RecursionError) as error:
            raise explain(body, error) from None
        text = bytes(asked.input)
        if text[:1] not in (b'"', b"["):
            raise InvalidField(
                "Invalid value for `input`: expected a string, an array of strings or arrays of tokens.",
                param="input",
            )
        return Request(
            model=asked.model,
            stream=False,
            options=None,
            hints=asked.aspendos is not UNSET,
            prompt=text,
            tags=_tags(asked.aspendos),
        )


def _least(*limits: int | None) -> int | None:
    """The smallest limit given. Some servers take 0 or -1 for "no limit", so those count as none."""
    given = [limit for limit in limits if limit is not None and limit > 0]
    return min(given) if given else None


def _tags(hints: Hints | UnsetType | None) -> dict[str, str] | None:
    if not isinstance(hints, Hints) or not hints.tags:
        return None
    return check_tags(hints.tags) if isinstance(hints.tags, dict) else split_tags(hints.tags)


def _pictures(messages: bytes) -> int:
    """How many images a chat shows. Within a string the quotes would be escaped, so only keys and types match."""
    return (messages.count(b'"image_url"') + 1) // 2


def _prompts(prompt: bytes) -> int:
    """How many prompts a completion holds: an array of strings or of token arrays is several."""
    if not prompt.startswith(b"["):
        return 1
    items = _items.decode(prompt)
    several = bool(items) and bytes(items[0])[:1] in (b'"', b"[")
    return len(items) if several else 1


_items = msgspec.json.Decoder(list[Raw])
_encode = msgspec.json.Encoder().encode


def error_body(error: AspendosError) -> bytes:
    """OpenAI's error object, the one its SDKs read: message, type, param, code."""
    return _encode(
        {"error": {"message": error.message, "type": error.type, "param": error.param, "code": error.code}}
    )


_sample = msgspec.json.Decoder(dict[str, Raw])


def closing_events(sample: bytes, usage: Usage | None) -> bytes:
    """The end of a stream that the gateway cuts at its own maximum: a finish reason, and usage where it was asked for.

    `sample` is an event of the stream, whose id, model and time the new ones take over.
    """
    try:
        fields = _sample.decode(event_json(sample))
    except msgspec.DecodeError:
        fields = {}
    kind = bytes(fields.get("object", b""))
    fields.pop("usage", None)
    fields.pop("obfuscation", None)
    choice: dict[str, object] = {"index": 0, "finish_reason": "length"}
    choice |= {"text": ""} if kind == b'"text_completion"' else {"delta": {}}
    events = data_event(_encode({**fields, "choices": [choice]}))
    if usage is not None:
        counts = {
            "prompt_tokens": usage.input_tokens,
            "completion_tokens": usage.output_tokens,
            "total_tokens": usage.input_tokens + usage.output_tokens,
        }
        events += data_event(_encode({**fields, "choices": [], "usage": counts}))
    return events
