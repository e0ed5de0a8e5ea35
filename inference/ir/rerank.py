"""Rerank: documents to be put in the order in which they answer a question, and that order. Pure."""

from msgspec import Raw, Struct

from inference.ir.content import NO_REST, Rest
from inference.ir.usage import NO_USAGE, Usage


class Document(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`raw` is the document as the client gave it where that was an object; its text is what is ranked."""

    text: str
    raw: Raw | None = None


class RerankRequest(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`model` is the name the client used. `top_n`: at most so many results; None: all documents.

    `return_documents`: each result carries its document; None: not said. `max_tokens` is how much of one document
    is looked at. `rest` is what has no word here.
    """

    model: str
    query: str
    documents: tuple[Document, ...]
    top_n: int | None = None
    return_documents: bool | None = None
    max_tokens: int | None = None
    rest: Rest = NO_REST


class Ranked(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A document by its place in the request, and how well it answers: the higher the better, no common scale."""

    index: int
    score: float


class RerankResult(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Best first. `usage.searches` are the units by which searches are sold, where the provider sells those."""

    results: tuple[Ranked, ...]
    model: str | None = None
    id: str | None = None
    usage: Usage = NO_USAGE
