"""The legacy completions of OpenAI. Pure. (https://platform.openai.com/docs/api-reference/completions)"""

from collections.abc import Sequence

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from gateway.dialects.dialect import ChatDialect, ExchangeDialect, Rendered, Request, Setting
from gateway.dialects.hints import Hints, least, tags_of
from gateway.dialects.needs import once
from gateway.dialects.openai_completions.answer import answer
from gateway.dialects.openai_completions.needs import needs
from gateway.dialects.openai_completions.parse import DEFAULT_LIMIT, parse
from gateway.dialects.openai_completions.writer import CompletionWriter
from gateway.dialects.openai_errors import OpenAIVoice, error_body
from inference.codecs.body import check_text, decoded
from inference.ir.cards import Kind
from inference.ir.chat import ChatRequest, Message
from inference.ir.completion import Completion
from inference.ir.errors import AspendosError, InvalidField
from inference.ir.need import Need
from inference.ir.place import Place
from inference.wire import StreamOptions, Tap


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


_completion = msgspec.json.Decoder(CompletionBody)
_items = msgspec.json.Decoder(list[Raw])


class CompletionsDialect:
    """The prompt as a conversation, for targets that hold nothing else."""

    def parse(self, body: bytes) -> ChatRequest:
        """Raises BadRequest, InvalidJSON or InvalidField."""
        return parse(body)

    def places(self, body: bytes, messages: Sequence[Message]) -> Sequence[Place]:
        """Where in the request each of its messages stands."""
        return [Place(at="prompt", parts=("prompt",))]

    def answer(self, completion: Completion, asked: ChatRequest, setting: Setting) -> Rendered:
        """What cannot be said in it is named in what is rendered."""
        return answer(completion, asked, setting)

    def writer(self, asked: ChatRequest, setting: Setting) -> CompletionWriter:
        """For one answer."""
        return CompletionWriter(setting)


class Completions:
    """POST /v1/completions"""

    route = "completions"
    kind = Kind.CHAT
    chat: ChatDialect | None = CompletionsDialect()
    exchange: ExchangeDialect | None = None
    forwarded: Sequence[bytes] = ()

    def decode(self, body: bytes) -> Request:
        """Raises BadRequest, InvalidJSON or InvalidField."""
        check_text(body)
        asked = decoded(_completion, body)
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
            max_output=DEFAULT_LIMIT if asked.max_tokens is None else least(asked.max_tokens),
            answers=max(asked.n or 1, asked.best_of or 1) * _prompts(prompt),
            tags=tags_of(asked.aspendos),
        )

    def needs(self, body: bytes) -> Sequence[Need]:
        """What of the catalogue's capabilities a request asks for."""
        return once(needs(body))

    def error_body(self, error: AspendosError, request_id: str | None) -> bytes:
        """OpenAI's error object."""
        return error_body(error, request_id)

    def voice(self, tap: Tap, request: Request) -> OpenAIVoice:
        """How the gateway speaks inside a stream."""
        return OpenAIVoice(tap, request)


def _prompts(prompt: bytes) -> int:
    """How many prompts a completion holds: an array of strings or of token arrays is several."""
    if not prompt.startswith(b"["):
        return 1
    items = _items.decode(prompt)
    several = bool(items) and bytes(items[0])[:1] in (b'"', b"[")
    return len(items) if several else 1
