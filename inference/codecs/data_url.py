"""Data URLs: bytes written into an address, as every provider that takes pictures by address takes them. Pure.

(RFC 2397; base64 only, which is all that APIs take.)
"""

from inference.ir.content import Source
from inference.ir.errors import InvalidField

STORES = ("s3://", "gs://")
"""How addresses begin that only Amazon and Google can follow."""


def read_url(url: str, path: str) -> Source:
    """An http(s) address, or the bytes of a `data:` URL. Raises InvalidField, `path` being where it stands."""
    if url.startswith("data:"):
        head, found, data = url[5:].partition(",")
        kind, marked, _ = head.partition(";base64")
        if not found or not marked or not data:
            raise InvalidField(
                f"Invalid value for `{path}`: a `data:` URL reads `data:image/png;base64,...`.", param=path
            )
        return Source(data=data, media_type=kind or None)
    if not url.startswith(("https://", "http://")):
        raise InvalidField(
            f"Invalid value for `{path}`: expected an http(s) address or a `data:` URL.", param=path
        )
    return Source(url=url)


def written_url(source: Source) -> str:
    """The address, a `data:` URL for bytes; a source that is neither has none ("")."""
    if source.url is not None:
        return source.url
    if source.data is None:
        return ""
    return f"data:{source.media_type or 'application/octet-stream'};base64,{source.data}"
