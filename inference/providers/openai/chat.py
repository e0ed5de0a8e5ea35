"""Conversations in OpenAI's chat format: requests written, answers and streams read. Pure.

(https://platform.openai.com/docs/api-reference/chat)
"""

from inference.ir.cards import Model
from inference.ir.chat import ChatRequest
from inference.ir.completion import Completion
from inference.ir.content import Audio, File, Image, Video
from inference.providers.openai.chat_completion import CompletionReader
from inference.providers.openai.chat_request import write_request
from inference.providers.openai.chat_stream import ChatParser
from inference.providers.openai.chat_traits import ChatTraits
from inference.wire import Outgoing, Parser


class OpenAIChat:
    """The format as one kind of server speaks it."""

    def __init__(self, traits: ChatTraits) -> None:
        self._traits = traits
        self._reader = CompletionReader()

    def takes_bytes(self, part: Image | Audio | Video | File) -> bool:
        """Pictures are followed everywhere; recordings and documents only where the server says so."""
        given = part.source is not None and part.source.url is not None
        return given and isinstance(part, Audio | File) and not self._traits.by_address

    def request(self, asked: ChatRequest, *, model: str, card: Model) -> Outgoing:
        """Raises InvalidField for what the format cannot say at all."""
        return write_request(asked, model, card, self._traits)

    def completion(self, body: bytes) -> Completion:
        """Raises UpstreamGarbled, or the error that was reported with status 200."""
        return self._reader.read(body)

    def stream(self) -> Parser:
        return ChatParser()
