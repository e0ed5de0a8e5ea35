"""Gemini's routes: the model and the verb stand in the path, the key may stand in the query. Knows no Litestar.

`streamGenerateContent` answers with server-sent events where `alt=sse` is asked for, else with one JSON array that
grows. Neither carries comments: Google's SDK takes every line that is no data for a piece of JSON.
(https://ai.google.dev/api/generate-content)
"""

import re
from collections.abc import Awaitable, Callable, Sequence
from urllib.parse import parse_qs

from gateway.dialects.dialect import Dialect
from gateway.dialects.gemini import Gemini
from gateway.dialects.gemini.count import GeminiCount
from gateway.dialects.gemini.embeddings import GeminiEmbeddings
from gateway.edge.edge import Edge, Handler, Header, T, Watcher
from gateway.edge.outlet import Progress
from gateway.edge.spool import Spools
from inference.codecs.shortcut import Shortcut
from inference.codecs.sse_reader import SseReader
from inference.ir.bulk import Data

Serve = Callable[[Edge, Dialect], Awaitable[None]]

_PATH = re.compile(
    r"/v1(?:beta|alpha|beta1)?/(?:(?:projects/[^/]+/locations/[^/]+/)?publishers/google/)?models/"
    r"(?P<model>.+):(?P<verb>generateContent|streamGenerateContent|countTokens|embedContent|batchEmbedContents)",
    re.DOTALL,
)
_OURS = re.compile(rb"(?m)^: x-aspendos-[^\r\n]*\n\n")
"""A comment of the gateway's own. Within an event no line begins so: a JSON text holds no line breaks."""
_KEY = b"x-goog-api-key"
_JSON: Header = (b"content-type", b"application/json; charset=utf-8")


def gemini_finder(serve: Serve) -> Callable[[str, str], Handler | None]:
    """Finds the handler of a path of Gemini's; None for any other. The path is without query and unquoted."""

    def find(_: str, path: str) -> Handler | None:
        if not path.startswith("/v1"):
            return None
        match = _PATH.fullmatch(path)
        if match is None:
            return None
        model, verb = match["model"], match["verb"]

        async def handle(edge: Edge) -> None:
            stream = verb == "streamGenerateContent"
            await serve(GeminiEdge(edge, stream=stream), _dialect(model, verb))

        return handle

    return find


def _dialect(model: str, verb: str) -> Dialect:
    match verb:
        case "countTokens":
            return GeminiCount(model)
        case "embedContent" | "batchEmbedContents":
            return GeminiEmbeddings(model, batch=verb == "batchEmbedContents")
        case _:
            return Gemini(model, stream=verb == "streamGenerateContent")


class GeminiEdge:
    """An edge that has taken the key out of the query, and frames a stream as its client wants it."""

    def __init__(self, edge: Edge, *, stream: bool) -> None:
        query = parse_qs(edge.query.decode("latin-1")) if edge.query else {}
        key = query.get("key")
        self.method, self.path, self.peer = edge.method, edge.path, edge.peer
        self.query = b""
        self.headers: Sequence[Header] = edge.headers
        if key and edge.header(_KEY) is None:
            self.headers = [*edge.headers, (_KEY, key[0].encode("latin-1", "replace"))]
            self._key: bytes | None = key[0].encode("latin-1", "replace")
        else:
            self._key = None
        self.started = edge.started
        self._edge = edge
        self._array = JsonArray() if stream and query.get("alt") != ["sse"] else None

    def header(self, name: bytes) -> bytes | None:
        """The first value of a header."""
        if name == _KEY and self._key is not None:
            return self._key
        return self._edge.header(name)

    def recall(self, make: Callable[[Edge], T]) -> T:
        """What `make` says of the head, key and all."""
        return make(self)

    async def body(self) -> bytes:
        """The whole request body."""
        return await self._edge.body()

    def spool(self, spools: Spools) -> None:
        """Say that the body may be large."""
        self._edge.spool(spools)

    async def upload(self) -> Data:
        """The whole request body, on the disk where it is large."""
        return await self._edge.upload()

    def respond(self, status: int, headers: Sequence[Header], body: bytes) -> None:
        """A whole response."""
        self.started = True
        self._edge.respond(status, headers, body)

    def start(self, status: int, headers: Sequence[Header]) -> None:
        """The head of a stream, which says what kind of one it is."""
        self.started = True
        if self._array is not None:
            headers = [_JSON, *(header for header in headers if header[0] != b"content-type")]
        self._edge.start(status, headers)

    def write(self, chunk: bytes) -> None:
        """A piece of the stream, its comments left out."""
        if self._array is not None:
            chunk = self._array.framed(chunk)
        elif b": x-aspendos-" in chunk:
            chunk = _OURS.sub(b"", chunk)
        if chunk:
            self._edge.write(chunk)

    def let_past(self, shortcut: Shortcut) -> None:
        """Nothing goes past what changes it."""

    def finish(self) -> None:
        """The end of the stream."""
        if self._array is not None:
            self._edge.write(self._array.end())
        self._edge.finish()

    def abort(self) -> None:
        """Cut the connection."""
        self._edge.abort()

    def progress(self) -> Progress | None:
        """How far the client's connection has come."""
        return self._edge.progress()

    def watch(self, watcher: Watcher | None) -> None:
        """Name who is told about the client."""
        self._edge.watch(watcher)


class JsonArray:
    """Events as the elements of one array, each written as soon as it is there."""

    def __init__(self) -> None:
        self._reader = SseReader()
        self._begun = False

    def framed(self, chunk: bytes) -> bytes:
        """The elements that are whole with this chunk."""
        out = b""
        for _, data in self._reader.feed(chunk):
            out += (b",\r\n" if self._begun else b"[") + data
            self._begun = True
        return out

    def end(self) -> bytes:
        """What closes the array."""
        return b"]" if self._begun else b"[]"
