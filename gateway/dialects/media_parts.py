"""Pieces of text and pictures as OpenAI writes them where no conversation is held: embeddings and moderations. Pure."""

from msgspec import Struct

from inference.codecs.data_url import read_url
from inference.ir.content import Image, Text


class PictureUrl(Struct):
    """An address, or a `data:` URL."""

    url: str
    detail: str | None = None


class TextPiece(Struct, tag="text", tag_field="type"):
    text: str


class PicturePiece(Struct, tag="image_url", tag_field="type"):
    image_url: PictureUrl


Piece = TextPiece | PicturePiece


def part_of(piece: Piece, path: str) -> Text | Image:
    """The piece in neutral words. Raises InvalidField, `path` being where it stands."""
    if isinstance(piece, TextPiece):
        return Text(text=piece.text)
    return Image(source=read_url(piece.image_url.url, f"{path}.image_url.url"), detail=piece.image_url.detail)
