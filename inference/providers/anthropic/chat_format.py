"""Conversations in Anthropic's format: request out, answers in; and their tokens counted. Pure."""

import msgspec
from msgspec import Struct

from inference.codecs.body import decode_fields, encode_fields
from inference.ir.cards import Model, PromptCache
from inference.ir.chat import ChatRequest
from inference.ir.completion import Completion
from inference.ir.errors import UpstreamGarbled
from inference.providers.anthropic.caching import place_cache
from inference.providers.anthropic.chat_completion import read_completion
from inference.providers.anthropic.chat_request import PATH, write_request
from inference.providers.anthropic.chat_stream import ChatStream
from inference.wire import Outgoing

COUNT_PATH = f"{PATH}/count_tokens"
_COUNTED = frozenset(
    {
        "cache_control",
        "context_management",
        "mcp_servers",
        "messages",
        "model",
        "output_config",
        "speed",
        "system",
        "thinking",
        "tool_choice",
        "tools",
    }
)
"""What a question for a count may hold of a request; Anthropic refuses the rest.
(https://docs.anthropic.com/en/api/messages-count-tokens)"""


class _Count(Struct):
    input_tokens: int


_count = msgspec.json.Decoder(_Count)


class AnthropicChat:
    """What a conversation is for Anthropic."""

    shapes_by_tool = True

    def request(self, asked: ChatRequest, *, model: str, card: Model) -> Outgoing:
        """Raises InvalidField for a conversation without a turn to answer."""
        outgoing = write_request(asked, model=model, card=card)
        if card.prompt_cache is not PromptCache.AUTO:
            return outgoing
        fields = decode_fields(outgoing.body)
        place_cache(fields)
        return msgspec.structs.replace(outgoing, body=encode_fields(fields))

    def completion(self, body: bytes) -> Completion:
        """Raises UpstreamGarbled for what is no message of Anthropic's."""
        return read_completion(body)

    def stream(self) -> ChatStream:
        """A parser for one stream."""
        return ChatStream()

    def count(self, asked: ChatRequest, *, model: str, card: Model) -> Outgoing:
        """The same as a question for its tokens. Raises InvalidField as `request` does."""
        written = write_request(asked, model=model, card=card)
        fields = {name: value for name, value in decode_fields(written.body).items() if name in _COUNTED}
        return Outgoing(path=COUNT_PATH, body=encode_fields(fields), dropped=written.dropped)

    def counted(self, body: bytes) -> int:
        """Raises UpstreamGarbled."""
        try:
            return _count.decode(body).input_tokens
        except (msgspec.DecodeError, RecursionError):
            raise UpstreamGarbled("The upstream's answer is no count of tokens.") from None
