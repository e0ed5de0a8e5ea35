"""Conversations in Anthropic's format: request out, answers in. Pure."""

from inference.codecs.body import decode_fields, encode_fields
from inference.ir.cards import Model, PromptCache
from inference.ir.chat import ChatRequest
from inference.ir.completion import Completion
from inference.providers.anthropic.caching import place_cache
from inference.providers.anthropic.chat_completion import read_completion
from inference.providers.anthropic.chat_request import write_request
from inference.providers.anthropic.chat_stream import ChatStream
from inference.wire import Outgoing


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
        return Outgoing(path=outgoing.path, body=encode_fields(fields), dropped=outgoing.dropped)

    def completion(self, body: bytes) -> Completion:
        """Raises UpstreamGarbled for what is no message of Anthropic's."""
        return read_completion(body)

    def stream(self) -> ChatStream:
        """A parser for one stream."""
        return ChatStream()
