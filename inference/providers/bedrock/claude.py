"""Claude at Bedrock: by Anthropic's own format for clients who speak it, by Converse for all others. Pure.

Bedrock follows no address of the web, so a request that shows something by its address cannot be passed on; it is
written anew with the bytes in its place, and Anthropic's format loses nothing on that way.
"""

import msgspec
from msgspec import Raw, Struct

from inference.codecs.body import decode_fields
from inference.ir.cards import Model
from inference.ir.chat import ChatRequest
from inference.ir.completion import Completion
from inference.ir.content import Family
from inference.providers.anthropic.chat_completion import read_completion as read_message
from inference.providers.anthropic.chat_format import AnthropicChat
from inference.providers.bedrock.converse import Converse
from inference.providers.bedrock.converse_completion import read_completion
from inference.providers.bedrock.invoke_lanes import (
    STREAM_TYPE,
    asked_about,
    count_question,
    invoked,
    read_count,
    told,
)
from inference.providers.bedrock.invoke_stream import ClaudeStream
from inference.providers.bedrock.naming import Maker, counted_as, place
from inference.wire import Outgoing, Parser

_ANTHROPIC = AnthropicChat()
_COUNTED = ("messages", "system", "toolConfig", "additionalModelRequestFields")
"""What CountTokens takes of a request to Converse."""


class _Shape(Struct):
    """Only an answer of Converse has an `output`."""

    output: Raw = Raw(b"")


_shape = msgspec.json.Decoder(_Shape)


class Claude(Converse):
    """Conversations with a model of Anthropic's."""

    def __init__(self) -> None:
        super().__init__(Maker.CLAUDE)

    def request(self, asked: ChatRequest, *, model: str, card: Model) -> Outgoing:
        """Raises InvalidField for what Bedrock cannot be shown."""
        if asked.family is not Family.ANTHROPIC:
            return super().request(asked, model=model, card=card)
        written = _ANTHROPIC.request(asked, model=model, card=card)
        return Outgoing(
            path=place(model, "invoke-with-response-stream" if asked.stream else "invoke"),
            body=invoked(written.body),
            dropped=written.dropped,
            structured=written.structured,
            stream_types=(STREAM_TYPE,),
        )

    def told(self, body: bytes, headers: bytes) -> tuple[bytes, bytes]:
        """What a client of Anthropic's says in headers, as fields of the request, or of the one that is counted."""
        counted = asked_about(body)
        if counted is not None:
            return count_question(told(counted, headers)), b""
        return (told(body, headers) if "anthropic_version" in decode_fields(body) else body), b""

    def completion(self, body: bytes) -> Completion:
        """Raises UpstreamGarbled for what is no answer of either."""
        try:
            conversed = bool(_shape.decode(body).output)
        except (msgspec.DecodeError, RecursionError):
            conversed = True  # whose reader says what is wrong with it
        return read_completion(body, Maker.CLAUDE) if conversed else read_message(body)

    def stream(self) -> Parser:
        """A parser for one stream."""
        return ClaudeStream()


class CountedClaude(Claude):
    """One whose tokens Bedrock counts."""

    def count(self, asked: ChatRequest, *, model: str, card: Model) -> Outgoing:
        """The question, about the request as it would be sent. Raises InvalidField as `request` does."""
        asked = msgspec.structs.replace(asked, stream=False)
        written = self.request(asked, model=model, card=card)
        if asked.family is Family.ANTHROPIC:
            body = count_question(written.body)
        else:
            fields = decode_fields(written.body)
            kept = {name: fields[name] for name in _COUNTED if name in fields}
            body = msgspec.json.encode({"input": {"converse": kept}})
        path = place(counted_as(model) or model, "count-tokens")
        return Outgoing(path=path, body=body, dropped=written.dropped)

    def counted(self, body: bytes) -> int:
        """Raises UpstreamGarbled."""
        return read_count(body)
