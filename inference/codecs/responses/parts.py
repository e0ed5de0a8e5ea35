"""Parts: what messages and results of tools are made of in this format, read and written. Pure."""

import re
from base64 import b64encode

import msgspec
from msgspec import Raw, Struct

from inference.codecs.data_url import STORES
from inference.codecs.fields import Fields
from inference.ir.content import (
    NO_REST,
    Audio,
    Citation,
    Family,
    File,
    Image,
    Opaque,
    Part,
    Refusal,
    Source,
    Text,
)
from inference.ir.errors import InvalidField

OWN = Family.OPENAI_RESPONSES
_DATA_URL = re.compile(r"data:([\w.+/-]+);base64,")
_AUDIO = {"mp3": "audio/mpeg", "wav": "audio/wav"}
_ENDINGS = {"application/pdf": "pdf", "text/plain": "txt", "text/csv": "csv", "application/json": "json"}


class _Annotation(Struct):
    type: str | None = None
    url: str | None = None
    title: str | None = None
    filename: str | None = None
    start_index: int | None = None
    end_index: int | None = None


_annotation = msgspec.json.Decoder(_Annotation)


def read_parts(items: list[Raw], at: str, *, answer: bool = False) -> tuple[Part, ...]:
    """Raises InvalidField with the path of what is wrong; in an `answer` that is kept as it is instead."""
    return tuple((_heard if answer else _read)(item, f"{at}[{n}]") for n, item in enumerate(items))


def _heard(item: Raw, at: str) -> Part:
    try:
        return _read(item, at)
    except InvalidField:
        return Opaque(family=OWN, kind="unread", raw=item)


def _read(item: Raw, at: str) -> Part:
    fields = Fields.of(item, at)
    kind = fields.needed("type")
    match kind:
        case "input_text" | "output_text" | "text":
            return _text(fields)
        case "refusal":
            return Refusal(text=fields.needed("refusal"))
        case "input_image":
            return _image(fields)
        case "input_file":
            return _file(fields)
        case "input_audio":
            return _audio(fields)
        case _:
            return Opaque(family=OWN, kind=kind, raw=item)


def _text(fields: Fields) -> Text:
    text = fields.needed("text")
    cited = tuple(read_citation(raw) for raw in fields.items("annotations"))
    rest = fields.rest()
    if bytes(rest.get("logprobs", b"")) == b"[]":
        del rest["logprobs"]
    return Text(text=text, citations=cited, rest=rest or NO_REST)


def _image(fields: Fields) -> Image:
    url, file_id, detail = fields.text("image_url"), fields.text("file_id"), fields.text("detail")
    if url is None and file_id is None:
        raise fields.wrong("image_url", "expected an address, a data URL, or a `file_id` instead")
    return Image(source=_source(url, file_id), detail=detail, rest=fields.rest() or NO_REST)


def _file(fields: Fields) -> File:
    name, file_id = fields.text("filename"), fields.text("file_id")
    data, url = fields.text("file_data"), fields.text("file_url")
    if data is not None and _DATA_URL.match(data) is None:
        source = Source(data=data)
    elif data is not None or url is not None or file_id is not None:
        source = _source(data if data is not None else url, file_id)
    else:
        raise fields.wrong("file_data", "expected a data URL, or a `file_url` or `file_id` instead")
    return File(source=source, name=name, rest=fields.rest() or NO_REST)


def _audio(fields: Fields) -> Audio:
    inner = fields.inner("input_audio")
    if inner is None:
        raise fields.wrong("input_audio", "expected an object with `data` and `format`")
    form = inner.needed("format")
    source = Source(data=inner.needed("data"), media_type=_AUDIO.get(form, f"audio/{form}"))
    return Audio(source=source, rest=fields.rest() or NO_REST)


def _source(url: str | None, file_id: str | None) -> Source:
    match = _DATA_URL.match(url) if url is not None else None
    if url is not None and match is not None:
        return Source(data=url[match.end() :], media_type=match[1])
    return Source(url=url, file_id=file_id)


def read_citation(raw: Raw) -> Citation:
    """An annotation; what this format alone knows of it, and what nobody can read, stays in `raw`. Never fails."""
    try:
        said = _annotation.decode(raw)
    except (msgspec.DecodeError, RecursionError):
        return Citation(family=OWN, raw=raw)
    if said.type != "url_citation":
        return Citation(title=said.filename, family=OWN, raw=raw)
    return Citation(
        url=said.url,
        title=said.title,
        start=said.start_index,
        end=said.end_index,
        family=OWN,
        raw=raw,
    )


def write_citation(citation: Citation) -> object | None:
    """None for what the format has no word for: a citation of something that has no address."""
    if citation.raw is not None and citation.family is OWN:
        return citation.raw
    if citation.url is None:
        return None
    return {
        "type": "url_citation",
        "url": citation.url,
        "title": citation.title or "",
        "start_index": citation.start or 0,
        "end_index": citation.end or 0,
    }


def write_given(part: Part, own: bool) -> dict[str, object] | Raw | None:
    """A part of what is said to the model; None where the format has no word for it. `own`: `rest` is its words."""
    match part:
        case Text():
            found: dict[str, object] = {"type": "input_text", "text": part.text}
        case Image() if not (part.source.url or "").startswith(STORES):
            found = {"type": "input_image", **_where("image_url", part.source, "image/png")}
            if part.detail is not None or not own:
                found["detail"] = (
                    part.detail or "auto"
                )  # OpenAI's types want it said, though its service does not
        case File():
            found = _write_file(part)
        case Audio() if part.source.data is not None:
            kind = part.source.media_type or "audio/wav"
            form = next((name for name, known in _AUDIO.items() if known == kind), kind.partition("/")[2])
            found = {"type": "input_audio", "input_audio": {"data": part.source.data, "format": form}}
        case Refusal():
            found = {"type": "input_text", "text": part.text}
        case Opaque(family=family) if family is OWN:
            return part.raw
        case _:
            return None
    if own and not isinstance(part, Refusal):
        found |= part.rest
    return found


def _write_file(part: File) -> dict[str, object]:
    source = part.source
    name = part.name or part.title
    if source is None:
        inline = f"data:text/plain;base64,{b64encode((part.text or '').encode()).decode()}"
        return {"type": "input_file", "filename": name or "document.txt", "file_data": inline}
    found: dict[str, object] = {"type": "input_file"}
    if source.data is not None and source.media_type is None:
        found["file_data"] = source.data
    elif source.data is not None:
        found["file_data"] = f"data:{source.media_type};base64,{source.data}"
    else:
        found |= _where("file_url", source, "")
    if name is not None:
        found["filename"] = name
    elif source.data is not None:
        found["filename"] = f"document.{_ENDINGS.get(source.media_type or '', 'pdf')}"
    return found


def _where(key: str, source: Source, fallback: str) -> dict[str, object]:
    if source.data is not None:
        return {key: f"data:{source.media_type or fallback};base64,{source.data}"}
    return {"file_id": source.file_id} if source.file_id is not None else {key: source.url}
