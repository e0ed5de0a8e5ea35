"""Grounding: where Gemini's words come from, as citations, and citations as grounding. Pure.

Places are bytes of UTF-8 there and characters here.
(https://ai.google.dev/api/generate-content#GroundingMetadata)
"""

from collections.abc import Sequence

import msgspec
from msgspec import Raw, Struct

from inference.ir.content import Citation, Family


class _Segment(Struct, rename="camel"):
    start_index: int = 0
    end_index: int | None = None
    text: str | None = None


class _Place(Struct, rename="camel"):
    uri: str | None = None
    title: str | None = None
    text: str | None = None


class _Chunk(Struct, rename="camel"):
    web: _Place | None = None
    retrieved_context: _Place | None = None
    maps: _Place | None = None


class _Support(Struct, rename="camel"):
    segment: _Segment | None = None
    grounding_chunk_indices: list[int] | None = None


class _Grounding(Struct, rename="camel"):
    grounding_chunks: list[_Chunk] | None = None
    grounding_supports: list[_Support] | None = None


_grounding = msgspec.json.Decoder(_Grounding)


def read_citations(metadata: Raw, text: str) -> tuple[Citation, ...]:
    """One citation for each source of each passage of `text`; what cannot be read gives none."""
    try:
        said = _grounding.decode(metadata)
    except msgspec.DecodeError:
        return ()
    chunks = said.grounding_chunks or []
    plain = text.isascii()
    encoded = b"" if plain else text.encode()
    found: list[Citation] = []
    for support in said.grounding_supports or []:
        segment = support.segment or _Segment()
        start, end = segment.start_index, segment.end_index
        if not plain:
            start = len(encoded[:start].decode("utf-8", "ignore"))
            end = None if end is None else len(encoded[:end].decode("utf-8", "ignore"))
        for index in support.grounding_chunk_indices or []:
            if 0 <= index < len(chunks):
                chunk = chunks[index]
                place = chunk.web or chunk.retrieved_context or chunk.maps or _Place()
                found.append(
                    Citation(
                        url=place.uri,
                        title=place.title,
                        cited=segment.text,
                        start=start,
                        end=end,
                        family=Family.GEMINI,
                    )
                )
    return tuple(found)


def write_grounding(citations: Sequence[Citation], text: str) -> Raw | None:
    """`groundingMetadata` that says the same of `text`; None without citations that name an address."""
    chunks: list[dict[str, object]] = []
    supports: list[dict[str, object]] = []
    known: dict[str, int] = {}
    for citation in citations:
        if citation.url is None:
            continue
        if citation.url not in known:
            known[citation.url] = len(chunks)
            chunks.append({"web": {"uri": citation.url, "title": citation.title or citation.url}})
        if citation.end is not None:
            start = citation.start or 0
            segment: dict[str, object] = {
                "startIndex": len(text[:start].encode()),
                "endIndex": len(text[: citation.end].encode()),
                "text": text[start : citation.end],
            }
            supports.append({"segment": segment, "groundingChunkIndices": [known[citation.url]]})
    if not chunks:
        return None
    return Raw(msgspec.json.encode({"groundingChunks": chunks, "groundingSupports": supports}))
