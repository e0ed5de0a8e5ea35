"""Upload form: a multipart body read piece by piece, its file straight to the disk, its fields to memory.

Refuses a body that ends before its form does, two files, and fields longer than a line. (RFC 7578)
"""

from collections.abc import AsyncIterable, Awaitable, Callable
from typing import Protocol, cast

from msgspec import Struct
from multipart import (
    MultipartError,
    MultipartSegment,
    PushMultipartParser,
    parse_options_header,  # pyright: ignore[reportUnknownVariableType] - it is untyped; see _options
)

from inference.ir.errors import BadRequest, InvalidField, UnsupportedMedia

_options = cast(Callable[[str], tuple[str, dict[str, str]]], parse_options_header)
_LONGEST_FIELD = 4096
_MOST_PARTS = 16
_LONGEST_NAME = 512


class Form(Struct, frozen=True, kw_only=True):
    """What was in it beside the file's content. `filename` None: there was no file."""

    fields: dict[str, str]
    filename: str | None


class Sink(Protocol):
    """Takes the file's bytes."""

    async def write(self, data: bytes) -> None: ...


def boundary_of(content_type: str | None) -> str:
    """The boundary that a Content-Type header names. Raises UnsupportedMedia."""
    kind, options = _options(content_type or "")
    if kind.lower() != "multipart/form-data" or not options.get("boundary"):
        raise UnsupportedMedia("A file is uploaded as `multipart/form-data`, with a boundary.")
    return options["boundary"]


async def read_form(body: AsyncIterable[bytes], boundary: str, sink: Callable[[], Awaitable[Sink]]) -> Form:
    """Read the form to its end; `sink` is asked for once, when the file begins.

    Raises BadRequest for what is no form, or not all of one; InvalidField; what the sink raises.
    """
    reader = _Reader(sink)
    parser = PushMultipartParser(
        boundary, max_header_size=4096, max_segment_count=_MOST_PARTS, header_charset="utf8"
    )
    try:
        async for chunk in body:
            if not chunk or parser.closed:
                continue
            for event in parser.parse(chunk):
                await reader.take(event)
    except MultipartError as error:
        raise BadRequest(f"The body is not a multipart form: {error}.", code="invalid_form") from None
    try:
        parser.close()
    except MultipartError:
        raise BadRequest(
            "The upload ends before its form does: it was cut off, or the boundary that closes it is missing. "
            "Send it again, whole.",
            code="invalid_form",
        ) from None
    return Form(fields=reader.fields, filename=reader.filename)


class _Reader:
    def __init__(self, sink: Callable[[], Awaitable[Sink]]) -> None:
        self.fields: dict[str, str] = {}
        self.filename: str | None = None
        self._open = sink
        self._sink: Sink | None = None
        self._name = ""
        self._text = bytearray()
        self._is_file = False

    async def take(self, event: MultipartSegment | bytearray | bytes | None) -> None:
        """One event of the parser: a part's head, some of its bytes, or its end."""
        if isinstance(event, MultipartSegment):
            await self._begin(event)
        elif event is None:
            self._end()
        elif self._is_file:
            assert self._sink is not None
            await self._sink.write(bytes(event))
        else:
            self._text += event
            if len(self._text) > _LONGEST_FIELD:
                raise InvalidField(f"The field is longer than {_LONGEST_FIELD} bytes.", param=self._name)

    async def _begin(self, part: MultipartSegment) -> None:
        self._name = (part.name or "")[:100]
        self._is_file = self._name == "file"
        if not self._is_file:
            return
        if self._sink is not None:
            raise InvalidField("There are two files in the form: send one at a time.", param="file")
        if part.filename is None or len(part.filename) > _LONGEST_NAME or not part.filename.isprintable():
            raise InvalidField(
                f"The file needs a name of at most {_LONGEST_NAME} printable characters.", param="file"
            )
        self.filename = part.filename
        self._sink = await self._open()

    def _end(self) -> None:
        if not self._is_file:
            try:
                self.fields[self._name] = self._text.decode()
            except UnicodeDecodeError:
                raise InvalidField("The field is not UTF-8.", param=self._name) from None
            self._text = bytearray()
        self._is_file = False
