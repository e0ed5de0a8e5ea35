"""embedContent and batchEmbedContents: embeddings as Google's clients ask for them. Pure.

A batch may ask for each of its vectors in another way, but nobody else's can: all must ask for the same `taskType` and
`outputDimensionality`. (https://ai.google.dev/api/embeddings)
"""

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from gateway.dialects.dialect import ChatDialect, ExchangeDialect, Rendered, Request, Setting
from gateway.dialects.embeddings import PURPOSES
from gateway.dialects.gemini import without_bytes
from gateway.dialects.gemini.errors import error_body
from gateway.dialects.gemini.writer import GeminiVoice
from gateway.dialects.hints import Hints, tags_of
from inference.codecs.body import check_text, decoded, explain
from inference.codecs.fields import Fields
from inference.codecs.gemini.reading import CallIds, read_part
from inference.codecs.gemini.spelling import camel
from inference.codecs.vectors import unpacked
from inference.ir.cards import Kind
from inference.ir.content import Image, Rest, Text
from inference.ir.embedding import EmbeddingRequest, EmbeddingResult, Input, InputType, Truncate
from inference.ir.errors import AspendosError, InvalidField, UpstreamGarbled
from inference.wire import Tap


class GeminiEmbeddingBody(Struct, frozen=True, kw_only=True):
    """One content, which becomes one vector."""

    content: Raw
    aspendos: Hints | UnsetType | None = UNSET


class GeminiEmbeddingsBody(Struct, frozen=True, kw_only=True):
    """Several requests, each of one content."""

    requests: Raw
    aspendos: Hints | UnsetType | None = UNSET


class _Way(Struct, frozen=True):
    """How a content is to be embedded."""

    input_type: InputType | None
    dimensions: int | None
    truncate: Truncate | None


_one = msgspec.json.Decoder(GeminiEmbeddingBody)
_several = msgspec.json.Decoder(GeminiEmbeddingsBody)
_encode = msgspec.json.Encoder().encode


class GeminiEmbeddings:
    """POST /v1beta/models/{model}:batchEmbedContents, and :embedContent where there is no `batch`."""

    route = "gemini_embeddings"
    kind = Kind.EMBEDDING
    chat: ChatDialect | None = None
    forwarded: Sequence[bytes] = ()

    def __init__(self, model: str, *, batch: bool) -> None:
        self._model = model
        self._batch = batch

    @property
    def exchange(self) -> ExchangeDialect:
        """Every target is told in words of its own."""
        return self

    def decode(self, body: bytes) -> Request:
        """Raises BadRequest, InvalidJSON or InvalidField."""
        check_text(body)
        if self._batch:
            several = decoded(_several, body)
            given, hints = bytes(several.requests), several.aspendos
            if given[:1] != b"[" or not given[1:-1].strip():
                raise InvalidField(
                    "Invalid value for `requests`: expected an array of at least one request.",
                    param="requests",
                )
        else:
            one = decoded(_one, body)
            given, hints = bytes(one.content), one.aspendos
        return Request(
            model=self._model,
            stream=False,
            options=None,
            hints=hints is not UNSET,
            prompt=without_bytes(given),
            tags=tags_of(hints),
        )

    def parse(self, body: bytes) -> EmbeddingRequest:
        """Raises InvalidField with the field's path as Google's documents spell it."""
        try:
            fields = Fields.of(camel(body), "")
        except (msgspec.DecodeError, RecursionError) as error:
            raise explain(body, error) from None
        fields.raw("aspendos")
        inputs: list[Input] = []
        rest: Rest = {}
        first: _Way | None = None
        for place, entry in enumerate(fields.inners("requests") if self._batch else [fields]):
            inputs.append(_input(entry))
            way = _way(entry)
            if first is not None and way != first:
                raise Fields.fault(
                    f"requests[{place}]", "all requests of a batch must ask for the same kind of vectors here"
                )
            first = way
            rest |= entry.rest(f"requests[{place}]." if self._batch else "")
        if self._batch:
            rest |= fields.rest()
        assert first is not None  # a batch of none was refused before
        return EmbeddingRequest(
            model=self._model,
            inputs=tuple(inputs),
            dimensions=first.dimensions,
            input_type=first.input_type,
            truncate=first.truncate,
            rest=rest,
        )

    def answer(self, result: EmbeddingResult, asked: EmbeddingRequest, setting: Setting) -> Rendered:
        """Google's vectors. Raises UpstreamGarbled."""
        if len(result.vectors) != len(asked.inputs):
            raise UpstreamGarbled(
                f"The upstream sent {len(result.vectors)} embeddings for {len(asked.inputs)} inputs."
            )
        vectors = [{"values": unpacked(each) if isinstance(each, str) else each} for each in result.vectors]
        tokens = result.usage.input_tokens
        said: dict[str, Any] = {"embeddings": vectors} if self._batch else {"embedding": vectors[0]}
        return Rendered(
            _encode(said | {"usageMetadata": {"promptTokenCount": tokens, "totalTokenCount": tokens}})
        )

    def error_body(self, error: AspendosError, request_id: str | None) -> bytes:
        """Google's error object."""
        return error_body(error, request_id)

    def voice(self, tap: Tap, request: Request) -> GeminiVoice:
        """Never heard: this is not streamed."""
        return GeminiVoice(tap, request)


def _input(entry: Fields) -> Input:
    """The content of one request: a text, or texts and pictures together."""
    entry.raw("model")
    content = entry.inner("content")
    if content is None:
        raise entry.missing("content")
    content.raw("role")
    parts: list[Text | Image] = []
    for place, raw in enumerate(content.items("parts")):
        try:
            part = read_part(raw, CallIds())
        except (msgspec.DecodeError, KeyError):
            part = None
        if not isinstance(part, Text | Image):
            where = Fields.place(content.at("parts"), place)
            raise Fields.fault(where, "only texts and pictures are embedded here")
        parts.append(part)
    only = parts[0] if parts else None
    if only is None or (isinstance(only, Text) and len(parts) == 1 and not only.text):
        raise content.wrong("parts", "it is empty")
    return only.text if len(parts) == 1 and isinstance(only, Text) else tuple(parts)


def _way(entry: Fields) -> _Way:
    config = entry.inner("embedContentConfig") or Fields({}, "embedContentConfig")
    task = entry.text("taskType") or config.text("taskType")
    purpose = None
    if task is not None and task != "TASK_TYPE_UNSPECIFIED":
        purpose = PURPOSES.get(task.lower())
        if purpose is None:
            raise entry.wrong("taskType", "it is none of Google's")
    dimensions = entry.integer("outputDimensionality") or config.integer("outputDimensionality")
    if dimensions is not None and dimensions < 1:
        raise entry.wrong("outputDimensionality", "expected 1 or more")
    cut = entry.flag("autoTruncate")
    if cut is None:
        cut = config.flag("autoTruncate")
    for name, value in config.rest().items():
        entry.keep(f"embedContentConfig.{name}", value)
    return _Way(purpose, dimensions, None if cut is None else Truncate.END if cut else Truncate.NONE)
