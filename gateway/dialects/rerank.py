"""Rerank in the shape Cohere gave it, which Jina and vLLM took over. Pure.

Understands the fields of both of Cohere's versions: documents as texts or as objects with a `text`, and
`return_documents`, which the newer one no longer has. (https://docs.cohere.com/reference/rerank)
"""

from typing import Any

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from gateway.dialects.dialect import Rendered, Request, Setting
from gateway.dialects.hints import Hints, tags_of
from gateway.dialects.media_words import shows
from gateway.dialects.openai_exchange import OpenAIExchange
from inference.codecs.body import check_text, decoded, other_fields
from inference.ir.cards import Kind
from inference.ir.errors import InvalidField, UpstreamGarbled
from inference.ir.rerank import Document, RerankRequest, RerankResult


class RerankBody(Struct, frozen=True, kw_only=True):
    """A question and the documents that are to be put in the order in which they answer it."""

    model: str
    query: Raw
    documents: Raw
    top_n: int | None = None
    return_documents: bool | None = None
    aspendos: Hints | UnsetType | None = UNSET


class _Whole(Struct):
    model: str
    query: str
    documents: list[str | dict[str, Raw]]
    top_n: int | None = None
    top_k: int | None = None
    return_documents: bool | None = None
    max_tokens_per_doc: int | None = None


_KNOWN = frozenset({*_Whole.__struct_fields__, "aspendos"})
_body = msgspec.json.Decoder(RerankBody)
_whole = msgspec.json.Decoder(_Whole)
_text = msgspec.json.Decoder(str)
_encode = msgspec.json.Encoder().encode


class Rerank(OpenAIExchange):
    """POST /v1/rerank and /v2/rerank"""

    route = "rerank"
    kind = Kind.RERANK

    def decode(self, body: bytes) -> Request:
        """Raises BadRequest, InvalidJSON or InvalidField."""
        check_text(body)
        asked = decoded(_body, body)
        query, documents = bytes(asked.query), bytes(asked.documents)
        if not documents.startswith(b"[") or not documents[1:-1].strip():
            raise InvalidField(
                "Invalid value for `documents`: expected an array of one document or more.", param="documents"
            )
        if query in (b"null", b'""'):
            raise InvalidField("Invalid value for `query`: it is empty.", param="query")
        return Request(
            model=asked.model,
            stream=False,
            options=None,
            hints=asked.aspendos is not UNSET,
            prompt=query + documents,
            tags=tags_of(asked.aspendos),
            shows=shows(body),
        )

    def parse(self, body: bytes) -> RerankRequest:
        """Raises InvalidField with the field's path."""
        asked = decoded(_whole, body)
        top = asked.top_n if asked.top_n is not None else asked.top_k
        if top is not None and top < 1:
            name = "top_n" if asked.top_n is not None else "top_k"
            raise InvalidField(f"Invalid value for `{name}`: expected 1 or more.", param=name)
        return RerankRequest(
            model=asked.model,
            query=asked.query,
            documents=tuple(_document(each, f"documents[{at}]") for at, each in enumerate(asked.documents)),
            top_n=top,
            return_documents=asked.return_documents,
            max_tokens=asked.max_tokens_per_doc,
            rest=other_fields(body, _KNOWN),
        )

    def answer(self, result: RerankResult, asked: RerankRequest, setting: Setting) -> Rendered:
        """Cohere's shape, `usage` as Jina and vLLM have it beside `meta`; documents as the client gave them."""
        results: list[dict[str, Any]] = []
        for ranked in result.results:
            if not 0 <= ranked.index < len(asked.documents):
                raise UpstreamGarbled(f"The upstream ranked a document {ranked.index} that it was not sent.")
            entry: dict[str, Any] = {"index": ranked.index, "relevance_score": ranked.score}
            if asked.return_documents:
                document = asked.documents[ranked.index]
                entry["document"] = {"text": document.text} if document.raw is None else document.raw
            results.append(entry)
        usage = result.usage
        billed: dict[str, int] = {"search_units": usage.searches} if usage.searches else {}
        if usage.input_tokens and not usage.searches:
            billed["input_tokens"] = usage.input_tokens
        return Rendered(
            _encode(
                {
                    "id": result.id or setting.id,
                    "model": result.model or setting.model,
                    "results": results,
                    "meta": {"api_version": {"version": "2"}, "billed_units": billed},
                    "usage": {"prompt_tokens": usage.input_tokens, "total_tokens": usage.input_tokens},
                }
            )
        )


def _document(given: str | dict[str, Raw], path: str) -> Document:
    """A document by its text. Objects without one can be ranked only by targets that are sent them as they are."""
    if isinstance(given, str):
        return Document(text=given)
    text = given.get("text")
    try:
        if text is not None:
            return Document(text=_text.decode(text), raw=Raw(_encode(given)))
    except msgspec.DecodeError:
        pass  # the same mistake as none at all
    raise InvalidField(
        f"Invalid value for `{path}`: this model ranks texts; send a string, or an object with a string `text`.",
        param=f"{path}.text",
    )
