"""Mistral's wire format: OpenAI's chat in another accent. Pure.

There is no lane for chat. Mistral refuses fields it does not know (`stream_options`, `seed`, `user`, ...) with 422 and
answers some models' thoughts as a list where OpenAI's clients read a string, so a body passed on as it came would fail
on one way or the other: every conversation is translated. Embeddings are the same in both.
(https://docs.mistral.ai/api)
"""

from collections.abc import Mapping

from inference.codecs.overflow import OF_MISTRAL, Overflow
from inference.ir.cards import Kind, Model
from inference.ir.chat import ChatRequest
from inference.ir.completion import Completion
from inference.ir.errors import AspendosError
from inference.providers.mistral.answers import MistralParser, MistralReader
from inference.providers.mistral.request import write_request
from inference.providers.openai.embeddings import OpenAIEmbeddings
from inference.providers.openai.errors import read_error
from inference.providers.openai.lanes import OpenAILane
from inference.wire import ChatFormat, Exchange, Lane, Outgoing, Parser

_OVERFLOW = Overflow(*OF_MISTRAL)


class MistralChat:
    """Conversations with Mistral."""

    def __init__(self) -> None:
        self._reader = MistralReader()

    def request(self, asked: ChatRequest, *, model: str, card: Model) -> Outgoing:
        """Raises InvalidField for what the format cannot say at all."""
        return write_request(asked, model, card)

    def completion(self, body: bytes) -> Completion:
        """Raises UpstreamGarbled, or the error that was reported with status 200."""
        return self._reader.read(body)

    def stream(self) -> Parser:
        return MistralParser()


class Mistral:
    """Mistral's format. A base URL ends in `/v1`."""

    lanes: Mapping[str, Lane] = {"embeddings": OpenAILane("/embeddings")}
    chat: ChatFormat | None = MistralChat()
    exchanges: Mapping[Kind, Exchange] = {Kind.EMBEDDING: OpenAIEmbeddings()}
    probe: str = "/models"

    def credential(self, key: str) -> tuple[str, str]:
        """The header that carries a key, and its value."""
        return "authorization", f"Bearer {key}"

    def error(self, status: int, retry_after: float | None, body: bytes) -> AspendosError:
        """A refusal as one of ours."""
        return read_error(status, retry_after, body, overflow=_OVERFLOW)


WIRE = Mistral()
