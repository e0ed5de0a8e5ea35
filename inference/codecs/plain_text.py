"""Plain text that came as a file's bytes, for formats that take a document as its words. Pure."""

import base64
import binascii

from inference.ir.content import File

_PDF = "JVBER"
"""How a PDF begins, in base64."""


def plain_text(file: File) -> str | None:
    """A file's words; None for one that is not there by value, or is something else than text in UTF-8."""
    if file.text is not None:
        return file.text
    source = file.source
    if source is None or source.data is None or source.data.startswith(_PDF):
        return None
    if source.media_type is not None and not source.media_type.startswith("text/"):
        return None
    try:
        return base64.b64decode(source.data, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None
