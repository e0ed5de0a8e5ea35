"""Rankings of Cohere (v2/rerank), and the lane of the servers that speak its shape. Pure.

Cohere itself is always written to anew: its second version takes texts only and gives no documents back, so a client
of the first, or of Jina, is served from its own request. (https://docs.cohere.com/reference/rerank)
"""

from typing import Any

import msgspec
from msgspec import Struct

from inference.codecs.body import renamed
from inference.codecs.token_counts import input_only
from inference.ir.cards import Model
from inference.ir.errors import UpstreamGarbled
from inference.ir.rerank import Ranked, RerankRequest, RerankResult
from inference.ir.usage import Usage
from inference.providers.cohere.usage import Reported, usage_of
from inference.wire import Completed, Outgoing, StreamOptions, Tap

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


class RerankLane:
    """Passes a client's own bytes on to a server of the same shape. `path` is below the base URL."""

    def __init__(self, path: str) -> None:
        self._path = path

    def path(self, model: str, *, stream: bool) -> str:
        """The same for every model."""
        return self._path

    def request(
        self,
        body: bytes,
        *,
        asked: str,
        model: str,
        stream: bool,
        hints: bool = False,
        max_output: int | None = None,
    ) -> bytes:
        """The client's bytes, with `model` patched and `aspendos` taken out where they must be."""
        return renamed(body, asked=asked, model=model, hints=hints)

    def completion(self, body: bytes) -> Completed:
        """What a ranking took. Raises UpstreamGarbled."""
        return Completed(usage=_usage(_read(body)))

    def stream(self, options: StreamOptions | None) -> Tap:
        """Never asked for: no ranking is streamed."""
        raise NotImplementedError("rankings are not streamed")


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
