"""Forms with files (multipart/form-data, RFC 7578): read where they lie, patched, written. Pure; refuses what is none.

A form is passed on as it came: what is read are the places of its parts, so that one field can be put in the place of
another while every other byte, the boundary included, stays. Reading is strict: no preamble, no missing end, no part
without a name. One that is too large to be held is read by strides, and what is written of it is a row of its windows.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import cast

import multipart
from msgspec import Struct, structs

from inference.codecs.row import joined
from inference.ir.bulk import Data, Flowing, part_of
from inference.ir.errors import BadRequest, InvalidField

FORM = "multipart/form-data"
MOST_PARTS = 64
MOST_TEXT = 1024 * 1024
"""Bytes of a field that is no file."""
MOST_TEXTS = 4 * MOST_TEXT
"""Bytes of all of those together: they are held in memory."""
_Options = Callable[[str], tuple[str, dict[str, str]]]
_STRIDE = 1024 * 1024
_LONGEST_BOUNDARY = 200
_SMALL = 64 * 1024
_SPOILED = "The request body is not a whole form (multipart/form-data)"


class FormPart(Struct, frozen=True, kw_only=True):
    """One field: its value lies in the body from `start` to `end`, all of it with its headers from `begin`.

    `filename` is None for a field that is no file.
    """

    name: str
    begin: int
    start: int
    end: int
    filename: str | None = None
    content_type: str | None = None


class Form(Struct, frozen=True, kw_only=True):
    """A form where it was received. `end` is where its last part ended; `whole`: none of its parts were left out."""

    body: Data
    boundary: bytes
    parts: tuple[FormPart, ...]
    end: int
    whole: bool = True

    def value(self, part: FormPart) -> Data:
        """What a part holds; of bulk a window."""
        return part_of(self.body, part.start, part.end)

    def without(self, names: frozenset[str]) -> "Form":
        """The form less the fields of those names."""
        kept = tuple(part for part in self.parts if part.name.removesuffix("[]") not in names)
        return structs.replace(self, parts=kept, whole=self.whole and len(kept) == len(self.parts))

    def named(self, name: str) -> list[FormPart]:
        """All fields of a name; `name[]` is another way to write it."""
        return [part for part in self.parts if part.name in (name, f"{name}[]")]

    def text(self, name: str) -> str | None:
        """The text of a field, None where it is not there or empty. Raises InvalidField where it comes twice, is a
        file, or no UTF-8."""
        found = self.named(name)
        if not found:
            return None
        if len(found) > 1:
            raise InvalidField(
                f"The field `{name}` is in the form {len(found)} times: send it once.", param=name
            )
        return self.read(found[0]) or None

    def texts(self, name: str) -> tuple[str, ...]:
        """The texts of all fields of a name."""
        return tuple(self.read(part) for part in self.named(name))

    def read(self, part: FormPart) -> str:
        """A part as text."""
        if part.filename is not None:
            raise InvalidField(f"The field `{part.name}` is a file: expected a text.", param=part.name)
        try:
            return self.body[part.start : part.end].decode()
        except UnicodeDecodeError:
            raise InvalidField(f"The field `{part.name}` is not UTF-8.", param=part.name) from None


def boundary_of(content_type: bytes) -> bytes | None:
    """The boundary a content type names; None where that is no form, or names none."""
    read = cast(_Options, multipart.parse_options_header)  # pyright: ignore[reportUnknownMemberType] - untyped there
    kind, options = read(content_type.decode("latin-1"))
    boundary = options.get("boundary")
    return boundary.encode("latin-1") if kind == FORM and boundary else None


def boundary_in(body: Data) -> bytes:
    """The boundary a form begins with. Raises BadRequest where the body does not begin with one."""
    if not len(body):
        raise BadRequest(f"The request body is empty: send a form ({FORM}).", code="empty_body")
    end = body.find(b"\r\n", 0, _LONGEST_BOUNDARY)
    if end < 3 or body[:2] != b"--":
        raise _spoiled("it does not begin with its boundary")
    return body[2:end]


def read_form(body: Data) -> Form:
    """Where each part lies. Raises BadRequest (code `invalid_form`), and InvalidField for too much in one."""
    boundary = boundary_in(body)
    parts: list[FormPart] = []
    texts = 0
    for segment, size in _segments(body, boundary):
        gap = len(boundary) + 6  # CRLF, two dashes, the boundary, CRLF; the first one has no CRLF before it
        begin = parts[-1].end + gap if parts else gap - 2
        start = body.find(b"\r\n\r\n", begin) + 4
        if segment.filename is None and size > MOST_TEXT:
            raise InvalidField(
                f"The field `{segment.name}` has {size} bytes: a field that is no file may have {MOST_TEXT}.",
                param=segment.name,
                code="field_too_large",
            )
        texts += size if segment.filename is None else 0
        if texts > MOST_TEXTS:
            raise InvalidField(
                f"The fields that are no files have more than {MOST_TEXTS} bytes together.",
                param=segment.name,
                code="field_too_large",
            )
        parts.append(
            FormPart(
                name=segment.name or "",
                begin=begin,
                start=start,
                end=start + size,
                filename=segment.filename,
                content_type=segment.content_type,
            )
        )
    return Form(body=body, boundary=boundary, parts=tuple(parts), end=parts[-1].end if parts else -2)


def patched(
    form: Form, texts: Mapping[str, str], *, without: frozenset[str] = frozenset()
) -> bytes | Flowing:
    """The form with other texts in some fields, added where they are not there, and `without` some.

    Everything else stays byte for byte. Of bulk it is a row of what stayed and what is new.
    """
    kept = form.without(without)
    missing = dict(texts)
    places: list[tuple[int, int] | bytes] = []
    opening = len(form.boundary) + 4
    for part in kept.parts:
        text = missing.pop(part.name.removesuffix("[]"), None)
        if text is None:
            places.append((part.begin - opening, part.end + 2))
        else:
            places += ((part.begin - opening, part.start), text.encode() + b"\r\n")
    places += (
        b"--%b\r\n%b%b\r\n" % (form.boundary, _head(name, None, None), text.encode())
        for name, text in missing.items()
    )
    places.append((form.end + 2, len(form.body)))
    return joined(_taken(form.body, places))


def _taken(body: Data, places: Iterable[tuple[int, int] | bytes]) -> Iterator[Data]:
    """What lies in the places; those that follow one another are taken as one, and small ones are read."""
    start = end = 0
    for place in (*places, b""):
        if not isinstance(place, bytes) and place[0] == end:
            end = place[1]
            continue
        if end > start:
            yield body[start:end] if end - start <= _SMALL else part_of(body, start, end)
        if isinstance(place, bytes):
            start = end = 0
            yield place
        else:
            start, end = place


class Field(Struct, frozen=True, kw_only=True):
    """A field to be written; with a `filename` it is a file."""

    name: str
    value: Data
    filename: str | None = None
    content_type: str | None = None


def write_form(fields: Iterable[Field], boundary: str) -> tuple[bytes | Flowing, str]:
    """A form and its content type. Nothing in the fields may hold the boundary: derive it from their bytes."""
    pieces: list[Data] = []
    for field in fields:
        pieces += (
            b"--%s\r\n" % boundary.encode(),
            _head(field.name, field.filename, field.content_type),
            field.value,
            b"\r\n",
        )
    pieces.append(b"--%s--\r\n" % boundary.encode())
    return joined(pieces), f"{FORM}; boundary={boundary}"


def free_boundary(fields: Sequence[Field]) -> str:
    """A boundary that is in none of the values: the same for the same fields."""
    number = 0
    while True:
        boundary = f"aspendos-form-{number}"
        if all(field.value.find(boundary.encode()) < 0 for field in fields):
            return boundary
        number += 1


def _segments(body: Data, boundary: bytes) -> list[tuple[multipart.MultipartSegment, int]]:
    """Every part as the parser sees it, with its size. The parser is fed in strides and keeps no part."""
    parser = multipart.PushMultipartParser(boundary, max_segment_count=MOST_PARTS, strict=True)
    found: list[tuple[multipart.MultipartSegment, int]] = []
    size = 0
    segment: multipart.MultipartSegment | None = None
    try:
        tail = body[-4:]
        whole = len(body) - len(tail) + len(tail.rstrip(b"\r\n"))  # what follows its end is not the form's
        for at in range(0, whole, _STRIDE):
            for event in parser.parse(body[at : min(at + _STRIDE, whole)]):
                if isinstance(event, multipart.MultipartSegment):
                    segment, size = event, 0
                elif event is not None:
                    size += len(event)
                elif segment is not None:
                    found.append((segment, size))
                    segment = None
        parser.close()
    except multipart.ParserLimitReached:
        raise InvalidField(
            f"The form has more than {MOST_PARTS} fields, or a field with too long a head.",
            code="too_many_fields",
        ) from None
    except multipart.MultipartError as error:
        raise _spoiled(str(error)) from None
    return found


def _head(name: str, filename: str | None, content_type: str | None) -> bytes:
    head = f'Content-Disposition: form-data; name="{_quoted(name)}"'
    if filename is not None:
        head += f'; filename="{_quoted(filename)}"'
    if content_type is not None:
        head += f"\r\nContent-Type: {content_type}"
    return head.encode() + b"\r\n\r\n"


def _quoted(text: str) -> str:
    """As browsers write names (https://html.spec.whatwg.org/#multipart-form-data)."""
    return text.replace("\r", "%0D").replace("\n", "%0A").replace('"', "%22")


def _spoiled(why: str) -> BadRequest:
    return BadRequest(f"{_SPOILED}: {why}.", code="invalid_form")
