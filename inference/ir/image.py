"""Image: pictures to be made from words or from other pictures, and the pictures. Pure."""

from enum import StrEnum

from msgspec import Struct

from inference.ir.bulk import Data
from inference.ir.content import NO_REST, Rest
from inference.ir.usage import NO_USAGE, Usage


class ImageTask(StrEnum):
    """From words alone; one picture changed as the words say; another like it."""

    GENERATE = "generate"
    EDIT = "edit"
    VARY = "vary"


class Upload(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A picture as it was sent along."""

    data: Data
    filename: str
    content_type: str


class ImageRequest(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`model` is the name the client used; `prompt` is empty only for variations. `size` is width and height in pixels,
    None: the model's choice. `format` is png, jpeg or webp, None: not said. `as_url` is True where an address of the
    picture is wanted, False where its bytes are, None where nothing was said. `mask` is transparent where a picture is
    to be changed. `rest` is what has no word here."""

    model: str
    prompt: str
    task: ImageTask = ImageTask.GENERATE
    n: int = 1
    size: tuple[int, int] | None = None
    quality: str | None = None
    format: str | None = None
    background: str | None = None
    as_url: bool | None = None
    images: tuple[Upload, ...] = ()
    mask: Upload | None = None
    user: str | None = None
    stream: bool = False
    rest: Rest = NO_REST


class Picture(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One that was made: its bytes in base64, or its address. `prompt` is what it was made from, if that is another
    one than was asked for."""

    data: str | None = None
    url: str | None = None
    prompt: str | None = None


class ImageResult(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`format` is png, jpeg or webp, where the provider says it."""

    pictures: tuple[Picture, ...]
    format: str | None = None
    usage: Usage = NO_USAGE
