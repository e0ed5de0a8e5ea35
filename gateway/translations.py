"""Translations: which kind of one a request needs, and which kind an answer goes back through."""

from functools import partial

from gateway.call import Call
from gateway.counting import CountTranslation
from gateway.dialects.dialect import Counting, Dialect, Rendered, Request, Setting, form_reader, limited
from gateway.exchange import ExchangeTranslation
from gateway.translation import Translation
from inference.codecs.form import Form
from inference.codecs.surrogates import read_whole
from inference.deployment import Deployment
from inference.ir.errors import InvalidField
from inference.wire import Completed

AnyTranslation = Translation | ExchangeTranslation


def translation_of(
    dialect: Dialect, body: bytes | Form, request: Request, call: Call, *, strict: bool
) -> AnyTranslation:
    """The whole request read, for a target that speaks another format. `strict`: nothing may be left out on the way.

    Raises InvalidField.
    """
    options = request.options
    setting = Setting(
        id=call.id,
        model=request.model,
        created=call.arrived_ns // 1_000_000_000,
        include_usage=options is not None and bool(options.include_usage),
    )
    if isinstance(body, Form):
        reader = form_reader(dialect)
        asked = reader.parse_form(body)
        return ExchangeTranslation(reader, dialect.kind, asked, setting, prompt=request.prompt, strict=strict)
    # Conversations first: to ask whether a dialect only counts costs as much as reading a short one.
    if dialect.chat is not None:
        bounded = limited(dialect) if call.dropped else None
        chat = dialect.chat if bounded is None or bounded.limit not in call.dropped else bounded.unlimited
        return Translation(chat, body, setting, strict=strict)
    if isinstance(dialect, Counting):
        return CountTranslation(dialect, body, setting, strict=strict)
    if dialect.exchange is None:
        raise InvalidField(
            f"The model `{request.model}` cannot be used here: nothing that serves it speaks this dialect, and "
            "there is no translation for it.",
            param="model",
            code="route_not_served",
        )
    return ExchangeTranslation(
        dialect.exchange,
        dialect.kind,
        dialect.exchange.parse(body),
        setting,
        prompt=request.prompt,
        strict=strict,
        characters=request.characters,
    )


def of_stream(translation: AnyTranslation | None) -> Translation:
    """The translation of a stream that came through no lane; only conversations are streamed so."""
    assert isinstance(translation, Translation)
    return translation


def whole_answer(
    translation: AnyTranslation | None, deployment: Deployment, body: bytes, content_type: bytes | None
) -> tuple[Rendered, Completed]:
    """An answer that came through no lane, in the client's dialect, and what metering needs of it."""
    if isinstance(translation, ExchangeTranslation):
        kind = (content_type or b"").decode("latin-1")
        return read_whole(partial(translation.whole, deployment, content_type=kind), body)
    return read_whole(partial(of_stream(translation).whole, deployment), body)
