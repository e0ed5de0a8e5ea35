"""Conversations by way of the Responses format: what a chat format does, put together. Pure."""

from inference.ir.cards import Model
from inference.ir.chat import ChatRequest
from inference.ir.completion import Completion
from inference.providers.openai.responses_completion import read_completion
from inference.providers.openai.responses_count import count_request, read_count
from inference.providers.openai.responses_request import write_request
from inference.providers.openai.responses_stream import ResponsesParser
from inference.wire import Outgoing


class ResponsesFormat:
    """Writes requests, reads responses and their streams; asks for counts."""

    def request(self, asked: ChatRequest, *, model: str, card: Model) -> Outgoing:
        """Raises InvalidField for what the format cannot say at all and must not leave out."""
        return write_request(asked, model=model, card=card)

    def completion(self, body: bytes) -> Completion:
        """Raises UpstreamGarbled, or the failure that the response reports."""
        return read_completion(body)

    def stream(self) -> ResponsesParser:
        """A parser for one stream."""
        return ResponsesParser()

    def count(self, asked: ChatRequest, *, model: str, card: Model) -> Outgoing:
        """The same request as a question for its tokens. Raises InvalidField as `request` does."""
        return count_request(write_request(asked, model=model, card=card))

    def counted(self, body: bytes) -> int:
        """Raises UpstreamGarbled."""
        return read_count(body)
