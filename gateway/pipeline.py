"""The life of one request, readable top to bottom: who, what, may they, where, carry out, settle."""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

import structlog

from billing.pricing import usd
from gateway.access.origin import Origin
from gateway.admission import Admission
from gateway.call import Call
from gateway.dialects.dialect import Dialect, Estimating, Rendered, Request, Setting, takes_forms
from gateway.edge.edge import Edge, Header
from gateway.exchange import ExchangeTranslation
from gateway.http.errors import respond_error
from gateway.http.limits import anthropic_headers, headers_of
from gateway.http.pipe import Pipe
from gateway.http.stream import Relay
from gateway.media.inliner import Fetches
from gateway.metrics import Metrics
from gateway.responses.turn import Threads
from gateway.routing.execute import execute
from gateway.routing.table import Route, RoutingTable
from gateway.settlement import Settlement
from gateway.tags import read_tags
from gateway.translation import Translation
from inference.client import Answer, Ask, Deployment, ModelClient
from inference.codecs.body import decode_fields, encode_fields
from inference.codecs.form import FORM, boundary_in, boundary_of, patched, read_form
from inference.codecs.token_estimate import estimate_input, estimate_text
from inference.ir.cards import PromptCache
from inference.ir.errors import (
    AspendosError,
    BadRequest,
    ClientGone,
    Internal,
    InvalidField,
    MethodNotAllowed,
    Unavailable,
    UnsupportedMedia,
)
from inference.ir.usage import Usage, UsageSource, filled
from inference.wire import JSON, Completed
from policies.api_keys import Principal

_log = structlog.stdlib.get_logger("pipeline")
_EVENT_STREAM: tuple[Header, ...] = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
)
_JSON = b"application/json"
_KEY_HEADERS = (b"x-api-key", b"x-goog-api-key", b"api-key")
"""Where Anthropic's, Google's and Azure's SDKs put a key."""
_ID_HEADERS = {"messages": b"request-id", "count_tokens": b"request-id"}
"""What Anthropic's SDKs call the id of a request; these are the routes where they are at home."""
_NO = (b"0", b"false", b"")


class Catalogue(Protocol):
    """Holds the routing table of the moment."""

    table: RoutingTable


class Pipeline:
    """Everything one request needs, built once."""

    def __init__(
        self,
        *,
        admission: Admission,
        catalogue: Catalogue,
        client: ModelClient,
        settlement: Settlement,
        metrics: Metrics,
        draw: Callable[[], float],
        new_id: Callable[[], str],
        salt: Callable[[Principal], str],
        max_response: int,
        fetcher: Fetches,
        threads: Threads | None = None,
    ) -> None:
        self._admission = admission
        self._catalogue = catalogue
        self._client = client
        self._settlement = settlement
        self._in_flight = metrics.in_flight
        self._quotas = metrics.quotas
        self._draw = draw
        self._new_id = new_id
        self._salt = salt
        self._max_response = max_response
        self._fetcher = fetcher
        self._threads = threads

    async def serve(self, edge: Edge, dialect: Dialect) -> None:
        """Answer one request, whatever happens; it is settled exactly once."""
        call = Call(self._new_id(), dialect.route, edge)
        in_flight = self._in_flight[dialect.route]
        in_flight.inc()
        try:
            await self._run(edge, dialect, call)
        except AspendosError as error:
            self._refuse(call, dialect, error)
        except asyncio.CancelledError:
            if not call.gone:
                self._refuse(
                    call, dialect, Unavailable("The gateway is shutting down.", code="shutting_down")
                )
                raise
            self._refuse(
                call, dialect, ClientGone("The client closed the connection before it was answered.")
            )
        except Exception as error:
            _log.exception("request failed", request_id=call.id, error=type(error).__name__)
            self._refuse(call, dialect, Internal("The gateway failed; the operator's log has the details."))
        finally:
            in_flight.dec()

    async def _run(self, edge: Edge, dialect: Dialect, call: Call) -> None:
        form = takes_forms(dialect)
        check_head(edge, FORM if form else JSON)
        principal = call.principal = await self._admission.principal(
            _authorization(edge), Origin(address=edge.peer, request_id=call.id)
        )
        call.waiting()
        body = await edge.body()
        call.working()
        content_type = form_type(edge, body) if form else JSON
        table = self._catalogue.table
        body, request, route = await self._understood(edge, dialect, body, table, call)
        translation = None
        if not route.speaks(dialect.route):
            translation = self._translation(edge, dialect, body, request, call)
        admitted = await self._admission.admit(call, table, principal, request, route)
        self._settlement.hold(call)
        if translation is None and not admitted.route.speaks(dialect.route):
            translation = self._translation(edge, dialect, body, request, call)
        if translation is not None:
            translation.admitted(admitted.route.model, admitted.max_output)
        ask = Ask(
            route=dialect.route,
            body=body,
            model=request.model,
            stream=request.stream,
            hints=request.hints,
            options=request.options,
            request_id=call.id,
            max_output=admitted.max_output,
            translate=None if translation is None else translation.outgoing,
            headers=_forwarded(edge, dialect.forwarded) if dialect.forwarded else b"",
            cached=admitted.route.model.prompt_cache is PromptCache.AUTO,
            salt=partial(self._salt, principal),
            content_type=content_type,
        )
        edge.watch(call)
        call.waiting()
        key_for = admitted.key_for
        attempts = (
            admitted.route.attempts(self._draw)
            if key_for is None
            else admitted.route.attempts_with(self._draw, key_for)
        )
        unheard = translation is None and not admitted.route.speaks(dialect.route)
        if unheard and isinstance(dialect, Estimating):
            attempts = [deployment for deployment in attempts if dialect.route in deployment.lanes]
            if not attempts:
                self._estimate(call, dialect.estimated(body))
                return
        if isinstance(translation, Translation):
            await translation.fetch(attempts, self._fetcher)
        answer = await execute(self._client, attempts, ask, call)
        self._quotas.answered(answer, admitted.route.model.name)
        try:
            if request.stream and (answer.lane is not None or isinstance(translation, Translation)):
                call.working()
                await self._stream(call, answer, dialect, request, translation, endless=admitted.endless)
            elif request.piped and (answer.outgoing is None or answer.outgoing.piped):
                await self._pipe(call, answer)
            else:
                await self._deliver(call, answer, translation)
        finally:
            answer.release()

    async def _understood(
        self, edge: Edge, dialect: Dialect, body: bytes, table: RoutingTable, call: Call
    ) -> tuple[bytes, Request, Route]:
        """What is asked, of which model, and the body as it stands then: what it goes on from is put before it, what
        the model is never to see is taken out."""
        principal = call.principal
        assert principal is not None
        request = dialect.decode(body)
        call.stream, call.prompt, call.counted = request.stream, request.prompt, request.counted
        tags = edge.header(b"x-aspendos-tags")
        if tags is not None:
            call.tags = read_tags(tags)
        route = self._admission.route(table, principal, request, dialect.kind, call)
        if request.thread is not None and self._threads is not None:
            call.waiting()
            call.turn, body = await self._threads.begin(call.id, principal, body, request.thread)
            call.working()
            if request.thread.previous is not None:
                request = dialect.decode(body)
                call.prompt = request.prompt
        if route.model.drop:
            unseen = _unseen_in_form if takes_forms(dialect) else _unseen
            body, call.dropped = unseen(body, route.model.drop)
            _check_allowed(call.dropped, strict=_strict(edge))
            if call.dropped:
                request = dialect.decode(body)
        if request.tools or request.pictures or request.audio:
            self._admission.require_capabilities(table, principal, request, route)
        return body, request, route

    def _estimate(self, call: Call, body: bytes) -> None:
        """An answer of the gateway's own, which costs nothing."""
        call.working()
        call.edge.watch(None)
        self._settlement.settle(call)
        headers = [*self._headers(call, 0), (b"content-type", _JSON), (b"x-aspendos-estimated", b"true")]
        call.edge.respond(200, headers, body)

    async def _deliver(
        self, call: Call, answer: Answer, translation: Translation | ExchangeTranslation | None
    ) -> None:
        """A whole response: metered, then sent on, unchanged where the client speaks the target's format."""
        dropped: Sequence[str] = ()
        kind = answer.reply.header(b"content-type")
        try:
            body = await answer.read(self._max_response)
            if answer.lane is not None:
                completed = answer.lane.completion(body)
            else:
                rendered, completed = _whole(translation, answer.deployment, body, kind)
                body, dropped, kind = rendered.body, rendered.dropped, rendered.content_type.encode()
        except AspendosError as error:
            call.attempt_failed(answer.deployment, error)
            raise answer.deployment.anonymous(error) from None
        call.working()
        if call.turn is not None:
            body = call.turn.whole(body)
        call.edge.watch(None)
        usage = completed.usage
        if usage.source is UsageSource.NONE:
            usage = Usage(
                input_tokens=estimate_input(call.prompt),
                output_tokens=estimate_text(completed.text),
                source=UsageSource.COUNTED,
            )
        usage = filled(usage, call.counted)
        cost = self._settlement.settle(call, usage, finish_reason=completed.finish_reason)
        headers = self._headers(call, cost)
        headers.append((b"content-type", kind or _JSON))
        headers += _dropped(call, answer, dropped)
        headers.append((b"x-aspendos-cost", usd(cost).encode()))
        call.edge.respond(200, headers, body)

    async def _stream(
        self,
        call: Call,
        answer: Answer,
        dialect: Dialect,
        request: Request,
        translation: Translation | ExchangeTranslation | None,
        *,
        endless: bool,
    ) -> None:
        """A streamed response: passed on as it arrives until either side ends."""
        if answer.lane is not None:
            tap = answer.lane.stream(request.options)
            voice = dialect.voice(tap, request)
        else:
            tap = voice = _translated(translation).tap(answer.deployment)
        if call.turn is not None:
            tap = voice = call.turn.stream(tap, voice)
        relay = Relay(
            call,
            answer,
            tap,
            voice,
            settlement=self._settlement,
            purse=self._settlement.purse(call, endless=endless),
        )
        call.edge.start(200, [*_EVENT_STREAM, *self._headers(call), *_dropped(call, answer)])
        call.waiting()
        relay.start()
        try:
            await relay.done
        except asyncio.CancelledError:
            relay.stop()
            raise

    async def _pipe(self, call: Call, answer: Answer) -> None:
        """Sound, passed on as it arrives."""
        call.working()
        kind = answer.reply.header(b"content-type") or b"application/octet-stream"
        pipe = Pipe(call, answer, settlement=self._settlement)
        call.edge.start(200, [(b"content-type", kind), *self._headers(call), *_dropped(call, answer)])
        call.waiting()
        pipe.start()
        try:
            await pipe.done
        except asyncio.CancelledError:
            pipe.stop()
            raise

    def _translation(
        self, edge: Edge, dialect: Dialect, body: bytes, request: Request, call: Call
    ) -> Translation | ExchangeTranslation | None:
        """The whole request read, for a target that speaks another format; None where the gateway answers itself.

        Raises InvalidField.
        """
        if isinstance(dialect, Estimating):
            return None
        if dialect.chat is None and dialect.exchange is None:
            raise InvalidField(
                f"The model `{request.model}` cannot be used here: nothing that serves it speaks this dialect, and "
                "there is no translation for it.",
                param="model",
                code="route_not_served",
            )
        options = request.options
        setting = Setting(
            id=call.id,
            model=request.model,
            created=call.arrived_ns // 1_000_000_000,
            include_usage=options is not None and bool(options.include_usage),
        )
        strict = _strict(edge)
        if dialect.chat is not None:
            return Translation(dialect.chat, body, setting, strict=strict)
        assert dialect.exchange is not None
        return ExchangeTranslation(
            dialect.exchange,
            dialect.kind,
            body,
            setting,
            prompt=request.prompt,
            strict=strict,
            characters=request.characters,
        )

    def _headers(self, call: Call, cost: int | None = None) -> list[Header]:
        at = call.arrived_ns / 1e9 if call.route in _ID_HEADERS else None
        return [
            (b"x-request-id", call.id.encode()),
            *_also_named(call),
            *self._where(call),
            *(headers_of(call.ticket, cost, at) if call.ticket is not None else ()),
            (b"x-aspendos-overhead-us", b"%d" % call.overhead_us()),
        ]

    def _where(self, call: Call) -> list[Header]:
        """Which model and provider were tried last, and how many targets; nothing where none was."""
        model, deployment = call.model, call.deployment
        if model is None or deployment is None:
            return []
        return [
            (b"x-aspendos-model", model.name.encode()),
            (b"x-aspendos-provider", deployment.provider.name.encode()),
            (b"x-aspendos-attempts", b"%d" % call.attempts),
        ]

    def _refuse(self, call: Call, dialect: Dialect, error: AspendosError) -> None:
        """Settle a call that failed, and tell the client if it is there to be told."""
        self._settlement.settle(call, status=error.http_status, error=error)
        edge = call.edge
        edge.watch(None)
        if isinstance(error, ClientGone):
            edge.abort()
        elif not edge.started:
            headers = [*_also_named(call), *self._where(call)]
            if call.ticket is not None and not error.headers:
                headers += headers_of(call.ticket, 0)
            if call.route in _ID_HEADERS:
                headers += anthropic_headers([*error.headers, *headers], call.arrived_ns / 1e9)
            respond_error(edge, error, dialect.error_body(error, call.id), call.id, headers)


def _also_named(call: Call) -> list[Header]:
    """The id again, under the name where the SDKs of this route look for it."""
    name = _ID_HEADERS.get(call.route)
    return [] if name is None else [(name, call.id.encode())]


def _authorization(edge: Edge) -> bytes | None:
    """The caller's key as a bearer token, whichever header the client's SDK sends it in."""
    bearer = edge.header(b"authorization")
    if bearer is None:
        for name in _KEY_HEADERS:
            key = edge.header(name)
            if key is not None:
                return b"Bearer " + key
    return bearer


def _translated(translation: Translation | ExchangeTranslation | None) -> Translation:
    """The translation of a stream that came through no lane; only conversations are streamed so."""
    assert isinstance(translation, Translation)
    return translation


def _whole(
    translation: Translation | ExchangeTranslation | None,
    deployment: Deployment,
    body: bytes,
    content_type: bytes | None,
) -> tuple[Rendered, Completed]:
    """An answer that came through no lane, in the client's dialect, and what metering needs of it."""
    if isinstance(translation, ExchangeTranslation):
        return translation.whole(deployment, body, (content_type or b"").decode("latin-1"))
    return _translated(translation).whole(deployment, body)


def _unseen(body: bytes, unseen: frozenset[str]) -> tuple[bytes, tuple[str, ...]]:
    """The body less the fields a model is never to see, and their names."""
    fields = decode_fields(body)
    gone = tuple(sorted(unseen & fields.keys()))
    if not gone:
        return body, ()
    return encode_fields({name: value for name, value in fields.items() if name not in gone}), gone


def _unseen_in_form(body: bytes, unseen: frozenset[str]) -> tuple[bytes, tuple[str, ...]]:
    """The same for a form."""
    form = read_form(body)
    gone = tuple(sorted(unseen & {part.name.removesuffix("[]") for part in form.parts}))
    return (patched(form, {}, without=unseen), gone) if gone else (body, ())


def _check_allowed(gone: tuple[str, ...], *, strict: bool) -> None:
    """Raises InvalidField where something is left out and the request is `strict`."""
    if gone and strict:
        raise InvalidField(
            f"The model is set to leave out {', '.join(gone)}, and `x-aspendos-strict` allows nothing to be left out. "
            "Leave those out yourself, or ask without it.",
            param=gone[0],
            code="not_translatable",
        )


def _strict(edge: Edge) -> bool:
    """Whether the client wants nothing left out on the way to a model."""
    header = edge.header(b"x-aspendos-strict")
    return header is not None and header not in _NO


def _dropped(call: Call, answer: Answer, more: Sequence[str] = ()) -> list[Header]:
    """The header that names what was not carried to the model or back; nothing where all was."""
    names = (*call.dropped, *(answer.outgoing.dropped if answer.outgoing is not None else ()), *more)
    if not names:
        return []
    return [(b"x-aspendos-dropped", ", ".join(dict.fromkeys(names)).encode("ascii", "replace"))]


def _forwarded(edge: Edge, names: Sequence[bytes]) -> bytes:
    """The client's own headers that a provider of its dialect is to see, as lines."""
    lines: list[bytes] = []
    for name in names:
        value = edge.header(name)
        if value is not None:
            lines.append(name + b": " + value + b"\r\n")
    return b"".join(lines)


def form_type(edge: Edge, body: bytes) -> str:
    """The content type of a form, once it is sure that the body begins with the boundary it names.

    Whoever reads the form later goes by the body alone. Raises BadRequest.
    """
    kind = edge.header(b"content-type") or b""
    if boundary_in(body) != boundary_of(kind):
        raise BadRequest(
            "The request body does not begin with the boundary that its content-type names.",
            code="invalid_form",
        )
    return kind.decode("latin-1")


def check_head(edge: Edge, wanted: str = JSON) -> None:
    """What can be refused before the body is read. Raises MethodNotAllowed or UnsupportedMedia."""
    if edge.method != "POST":
        raise MethodNotAllowed(f"{edge.path} takes POST, not {edge.method}.", param="POST")
    kind = edge.header(b"content-type")
    if wanted is JSON:
        fits = kind is None or kind.split(b";", 1)[0].strip().lower() == _JSON
    else:
        fits = kind is None or boundary_of(kind) is not None
    if not fits:
        named = " with a boundary" if wanted is not JSON else ""
        raise UnsupportedMedia(
            f"The content-type is `{(kind or b'')[:100].decode('latin-1')}`: send the body as `{wanted}`{named}."
        )
    encoding = edge.header(b"content-encoding")
    if encoding is not None and encoding.strip().lower() != b"identity":
        raise UnsupportedMedia(
            f"The content-encoding `{encoding[:40].decode('latin-1')}` is not understood: send the body uncompressed."
        )
