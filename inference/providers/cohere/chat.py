"""Conversations with Cohere: the request, the whole answer and the stream, each from its own file. Pure."""

from inference.ir.cards import Model
from inference.ir.chat import ChatRequest
from inference.ir.completion import Completion
from inference.providers.cohere.chat_completion import read_completion
from inference.providers.cohere.chat_request import written
from inference.providers.cohere.chat_stream import CohereStream
from inference.wire import Outgoing


class CohereChat:
    """Cohere's v2/chat."""

    def request(self, asked: ChatRequest, *, model: str, card: Model) -> Outgoing:
        """Raises InvalidField for sounds, films and files that are no text."""
        return written(asked, model)

    def completion(self, body: bytes) -> Completion:
        """Raises UpstreamGarbled, or UpstreamFailed for an answer that is only an error."""
        return read_completion(body)

    def stream(self) -> CohereStream:
        """One parser for one stream."""
        return CohereStream()
