"""Gemini's wire format as Google AI Studio addresses it. Pure. (https://ai.google.dev/api)"""

import re
from collections.abc import Mapping

from inference.ir.cards import Kind, Model
from inference.ir.chat import ChatRequest, structured
from inference.ir.completion import Completion
from inference.ir.content import Audio, File, Image, Video
from inference.ir.errors import AspendosError
from inference.providers.gemini.chat_completion import read_completion
from inference.providers.gemini.chat_request import write_chat
from inference.providers.gemini.chat_stream import GeminiParser
from inference.providers.gemini.count_lane import CountLane
from inference.providers.gemini.count_question import CountQuestion, read_count
from inference.providers.gemini.embeddings import GeminiEmbeddings
from inference.providers.gemini.errors import read_error
from inference.providers.gemini.lanes import GeminiLane
from inference.providers.gemini.media import GeminiImages, GeminiSpeech
from inference.wire import ChatFormat, Exchange, Lane, Outgoing, Parser

ROUTE = "gemini"
"""What its own dialect is called among the routes."""
COUNT_ROUTE = "gemini_count"
"""What counting tokens is called there."""


_OWN_ADDRESS = re.compile(
    r"https://(generativelanguage\.googleapis\.com/|(www\.|m\.)?youtube\.com/|youtu\.be/|storage\.googleapis\.com/)"
)


class GeminiChat:
    """Conversations. `lane` knows the paths; `labels`: a request may carry metadata, as Vertex takes them."""

    def __init__(self, lane: GeminiLane, *, labels: bool = False) -> None:
        self._lane = lane
        self._labels = labels
        self._counter = CountQuestion(lane, whole=not labels)

    def takes_bytes(self, part: Image | Audio | Video | File) -> bool:
        """Google follows addresses of its own storage and of YouTube, and none of the web's."""
        url = part.source.url if part.source is not None else None
        return url is not None and url.startswith(("http://", "https://")) and not _OWN_ADDRESS.match(url)

    def request(self, asked: ChatRequest, *, model: str, card: Model) -> Outgoing:
        """Raises InvalidField."""
        body, dropped = write_chat(asked, model=model, labels=self._labels)
        path = self._lane.path(model, stream=asked.stream)
        return Outgoing(path=path, body=body, dropped=dropped, structured=structured(asked.format))

    def completion(self, body: bytes) -> Completion:
        """Raises UpstreamGarbled, or the failure that was reported with status 200."""
        return read_completion(body)

    def stream(self) -> Parser:
        """A parser for one stream."""
        return GeminiParser()

    def count(self, asked: ChatRequest, *, model: str, card: Model) -> Outgoing:
        """The same as a question for its tokens. Raises InvalidField as `request` does."""
        body, dropped = write_chat(asked, model=model, labels=self._labels)
        return self._counter.question(body, model=model, dropped=dropped)

    def counted(self, body: bytes) -> int:
        """Raises UpstreamGarbled."""
        return read_count(body)


class Gemini:
    """The wire format."""

    probe = "/models"

    def __init__(self, *, head: str = "", labels: bool = False) -> None:
        """`head` goes before the model in every path."""
        lane = GeminiLane(head)
        self.lanes: Mapping[str, Lane] = {ROUTE: lane, COUNT_ROUTE: CountLane(head)}
        self.chat: ChatFormat | None = GeminiChat(lane, labels=labels)
        self.exchanges: Mapping[Kind, Exchange] = {
            Kind.IMAGE: GeminiImages(lane),
            Kind.SPEECH: GeminiSpeech(lane),
        }
        if not head:  # Vertex embeds at other places and in other words
            self.exchanges = {Kind.EMBEDDING: GeminiEmbeddings(lane), **self.exchanges}

    def credential(self, key: str) -> tuple[str, str]:
        """The header that carries a key, and its value."""
        return "x-goog-api-key", key

    def error(self, status: int, retry_after: float | None, body: bytes) -> AspendosError:
        """A refusal as one of ours."""
        return read_error(status, retry_after, body)


WIRE = Gemini()
