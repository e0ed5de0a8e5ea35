"""Conversations with Bedrock: Converse and ConverseStream. Pure."""

from inference.ir.cards import Model
from inference.ir.chat import ChatRequest
from inference.ir.completion import Completion
from inference.ir.content import Audio, File, Image, Video
from inference.providers.bedrock.converse_completion import read_completion
from inference.providers.bedrock.converse_request import write_request
from inference.providers.bedrock.converse_stream import ConverseStream
from inference.providers.bedrock.naming import Maker, maker
from inference.wire import Outgoing, Parser

_WEB = ("http://", "https://")


class Converse:
    """One for models of one maker; which that is tells whose signatures are read and given back."""

    shapes_by_tool = True

    def __init__(self, made_by: Maker = Maker.HIDDEN) -> None:
        self._made_by = made_by

    def request(self, asked: ChatRequest, *, model: str, card: Model) -> Outgoing:
        """Raises InvalidField for what Bedrock cannot be shown."""
        made_by = maker(model) if self._made_by is Maker.HIDDEN else self._made_by
        return write_request(asked, model=model, made_by=made_by, card=card)

    def completion(self, body: bytes) -> Completion:
        """Raises UpstreamGarbled for what is no answer of Converse."""
        return read_completion(body, self._made_by)

    def stream(self) -> Parser:
        """A parser for one stream."""
        return ConverseStream(self._made_by)

    def takes_bytes(self, part: Image | Audio | Video | File) -> bool:
        """Bedrock follows no address of the web; what lies in S3 it fetches itself."""
        source = part.source
        return source is not None and source.url is not None and source.url.startswith(_WEB)
