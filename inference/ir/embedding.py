"""Embedding: texts and pictures to be turned into vectors, and the vectors, whoever's dialect they came in. Pure."""

from enum import StrEnum

from msgspec import Raw, Struct

from inference.ir.content import NO_REST, Image, Rest, Text
from inference.ir.usage import NO_USAGE, Usage


class InputType(StrEnum):
    """What the vectors are for. Models that are asked and searched with different vectors need to know."""

    QUERY = "query"
    DOCUMENT = "document"
    CLASSIFICATION = "classification"
    CLUSTERING = "clustering"
    SIMILARITY = "similarity"
    QUESTION = "question"
    FACT = "fact"
    CODE = "code"


class Truncate(StrEnum):
    """What becomes of an input that is too long: it is refused, or loses its end or its beginning."""

    NONE = "none"
    END = "end"
    START = "start"


Input = str | tuple[int, ...] | tuple[Text | Image, ...]
"""A text, the tokens of one, or text and pictures that become one vector together."""


class EmbeddingRequest(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`model` is the name the client used. `packed`: it wants vectors as base64 of little-endian 32-bit floats.

    `dimensions` is the length of each vector; None: the model's own. `rest` is what has no word here.
    """

    model: str
    inputs: tuple[Input, ...]
    dimensions: int | None = None
    packed: bool = False
    input_type: InputType | None = None
    truncate: Truncate | None = None
    user: str | None = None
    rest: Rest = NO_REST


class EmbeddingResult(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A vector for each input, in the order of the inputs.

    Each is a JSON array of numbers just as it came, or (`str`) the base64 of little-endian 32-bit floats.
    """

    vectors: tuple[Raw | str, ...]
    model: str | None = None
    id: str | None = None
    usage: Usage = NO_USAGE
