"""Rankings of Cohere (v2/rerank), and the lane of the servers that speak its shape. Pure.

Cohere itself is always written to anew: its second version takes texts only and gives no documents back, so a client
of the first, or of Jina, is served from its own request. (https://docs.cohere.com/reference/rerank)
"""

from typing import Any

import msgspec
from msgspec import Struct

from inference.codecs.token_counts import input_only
from inference.ir.cards import Model
from inference.ir.errors import UpstreamGarbled
from inference.ir.rerank import Ranked, RerankRequest, RerankResult
from inference.ir.usage import Usage
from inference.providers.cohere.usage import Reported, usage_of
from inference.renaming_lane import RenamingLane
from inference.wire import Outgoing

_encode = msgspec.json.Encoder().encode
_OWN_WORDS = frozenset({"priority"})


class Result(Struct):
    """One document's place and score."""

    index: int
    relevance_score: float


class Counts(Struct):
    """Jina and vLLM count tokens, Voyage their total."""

    prompt_tokens: int | None = None
    total_tokens: int | None = None


class _Answer(Struct):
    results: list[Result]
    id: str | None = None
    model: str | None = None
    meta: Reported | None = None
    usage: Counts | None = None


_answer = msgspec.json.Decoder(_Answer)


class CohereRerank:
    """The exchange."""

    def request(self, asked: RerankRequest, *, model: str, card: Model) -> Outgoing:
        """Documents go as their texts; they are given back, where asked for, from the client's request."""
        written: dict[str, Any] = {
            "model": model,
            "query": asked.query,
            "documents": [document.text for document in asked.documents],
        }
        if asked.top_n is not None:
            written["top_n"] = asked.top_n
        if asked.max_tokens is not None:
            written["max_tokens_per_doc"] = asked.max_tokens
        written |= {name: value for name, value in asked.rest.items() if name in _OWN_WORDS}
        lost = tuple(name for name in asked.rest if name not in _OWN_WORDS)
        return Outgoing(path="/v2/rerank", body=_encode(written), dropped=lost)

    def answer(self, body: bytes, content_type: str) -> RerankResult:
        """Raises UpstreamGarbled."""
        answer = _read(body)
        return RerankResult(
            results=ranked(answer.results), id=answer.id, model=answer.model, usage=_usage(answer)
        )


def rerank_lane(path: str) -> RenamingLane:
    """What passes a client's own bytes on to a server of the same shape; `path` is below the base URL."""
    return RenamingLane(path, lambda body: _usage(_read(body)))


def ranked(results: list[Result]) -> tuple[Ranked, ...]:
    return tuple(Ranked(index=each.index, score=each.relevance_score) for each in results)


def counted(said: Counts | None) -> Usage:
    """Tokens as Jina, vLLM and Voyage count them; all of them are input."""
    return input_only(None if said is None else said.total_tokens)


def _usage(answer: _Answer) -> Usage:
    return counted(answer.usage) if answer.meta is None else usage_of(answer.meta)


def _read(body: bytes) -> _Answer:
    try:
        return _answer.decode(body)
    except (msgspec.DecodeError, RecursionError):
        raise UpstreamGarbled("The upstream's answer is not a ranking.") from None
