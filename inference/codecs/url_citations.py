"""Citations as OpenAI's chat format writes them: `annotations` of the type `url_citation`. Pure.

(https://platform.openai.com/docs/guides/tools-web-search, under Chat Completions; OpenRouter adds `content`)
"""

from typing import Any

import msgspec
from msgspec import Raw, Struct

from inference.ir.content import Citation, Family

_NULL = Raw(b"null")


class _Url(Struct):
    url: str | None = None
    title: str | None = None
    content: str | None = None
    start_index: int | None = None
    end_index: int | None = None


class _Annotation(Struct):
    url_citation: _Url | None = None


_annotation = msgspec.json.Decoder(_Annotation)


def read_annotation(raw: Raw) -> Citation:
    """One annotation, kept raw beside what every dialect understands of it. Never fails."""
    try:
        found = _annotation.decode(raw).url_citation or _Url()
    except msgspec.DecodeError:
        found = _Url()
    return Citation(
        url=found.url,
        title=found.title,
        cited=found.content,
        start=found.start_index,
        end=found.end_index,
        family=Family.OPENAI_CHAT,
        raw=raw,
    )


def write_annotation(citation: Citation) -> Raw | dict[str, Any] | None:
    """The citation in these words; None for one that has no address, which they cannot say."""
    if citation.family is Family.OPENAI_CHAT and citation.raw is not None:
        return citation.raw
    if citation.url is None:
        return None
    said: dict[str, Any] = {
        "url": citation.url,
        "title": citation.title or "",
        "start_index": citation.start or 0,
        "end_index": citation.end or 0,
    }
    if citation.cited is not None:
        said["content"] = citation.cited
    return {"type": "url_citation", "url_citation": said}
