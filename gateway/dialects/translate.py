"""Texts into another language, in a shape of the gateway's own, for the providers of translation have none in common.

The answer is a list as OpenAI's embeddings are one. Pure.
"""

import re
from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import UNSET, Struct, UnsetType

from gateway.dialects.dialect import ChatDialect, ExchangeDialect, Rendered, Request, Setting
from gateway.dialects.hints import Hints, tags_of
from gateway.dialects.openai_errors import OpenAIVoice, error_body
from inference.codecs.body import check_text, decode_fields, explain
from inference.ir.cards import Kind
from inference.ir.errors import AspendosError, InvalidField, UpstreamGarbled
from inference.ir.translation import Formality, TextFormat, TranslationRequest, TranslationResult
from inference.wire import Tap


class TranslateBody(Struct, frozen=True, kw_only=True):
    """A text, or several, that are to be said in another language. Languages are BCP 47 tags: `de`, `pt-BR`.

    Without `source_language` the provider finds out what it is. `glossary` is the id of one at the provider.
    """

    model: str
    input: str | list[str]
    target_language: str
    source_language: str | None = None
    formality: Formality | None = None
    glossary: str | None = None
    format: TextFormat | None = None
    aspendos: Hints | UnsetType | None = UNSET


_KNOWN = frozenset(TranslateBody.__struct_fields__)
_body = msgspec.json.Decoder(TranslateBody)
_encode = msgspec.json.Encoder().encode
_TAG = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8}){0,4}")


class Translate:
    """POST /v1/translate"""

    route = "translate"
    kind = Kind.TRANSLATION
    chat: ChatDialect | None = None
    forwarded: Sequence[bytes] = ()

    @property
    def exchange(self) -> ExchangeDialect:
        """What reads the whole request; no target speaks this shape itself."""
        return self

    def decode(self, body: bytes) -> Request:
        """Raises BadRequest, InvalidJSON or InvalidField."""
        asked = _read(body)
        texts = _texts(asked.input)
        return Request(
            model=asked.model,
            stream=False,
            options=None,
            hints=asked.aspendos is not UNSET,
            prompt=_encode(asked.input),
            characters=sum(map(len, texts)),
            tags=tags_of(asked.aspendos),
        )

    def parse(self, body: bytes) -> TranslationRequest:
        """Raises InvalidField with the field's path."""
        asked = _read(body)
        return TranslationRequest(
            model=asked.model,
            texts=_texts(asked.input),
            target=asked.target_language,
            source=asked.source_language,
            formality=asked.formality or Formality.DEFAULT,
            glossary=asked.glossary,
            format=asked.format or TextFormat.TEXT,
            rest={name: value for name, value in decode_fields(body).items() if name not in _KNOWN},
        )

    def answer(self, result: TranslationResult, asked: TranslationRequest, setting: Setting) -> Rendered:
        """Raises UpstreamGarbled where there are not as many texts as were sent."""
        if len(result.texts) != len(asked.texts):
            raise UpstreamGarbled(
                f"The upstream translated {len(result.texts)} texts and was sent {len(asked.texts)}."
            )
        data: list[dict[str, Any]] = []
        for index, translated in enumerate(result.texts):
            entry: dict[str, Any] = {"index": index, "text": translated.text}
            if translated.detected is not None:
                entry["detected_source_language"] = translated.detected
            data.append(entry)
        return Rendered(
            _encode(
                {
                    "object": "list",
                    "model": setting.model,
                    "data": data,
                    "usage": {"characters": result.usage.characters},
                }
            )
        )

    def error_body(self, error: AspendosError, request_id: str | None) -> bytes:
        """OpenAI's error object."""
        return error_body(error, request_id)

    def voice(self, tap: Tap, request: Request) -> OpenAIVoice:
        """How the gateway speaks inside a stream."""
        return OpenAIVoice(tap, request)


def _read(body: bytes) -> TranslateBody:
    check_text(body)
    try:
        asked = _body.decode(body)
    except (msgspec.DecodeError, RecursionError) as error:
        raise explain(body, error) from None
    for name in ("target_language", "source_language"):
        tag = getattr(asked, name)
        if tag is not None and not _TAG.fullmatch(tag):
            raise InvalidField(
                f"Invalid value for `{name}`: expected a language tag such as `de`, `pt-BR` or `zh-Hans`.",
                param=name,
            )
    return asked


def _texts(given: str | list[str]) -> tuple[str, ...]:
    texts = (given,) if isinstance(given, str) else tuple(given)
    if not any(texts):
        raise InvalidField("Invalid value for `input`: there is no text in it.", param="input")
    return texts
