"""The life of one request, readable top to bottom: who, what, may they, where, carry out, settle."""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

import structlog

from billing.pricing import usd
from gateway.access.origin import Origin
from gateway.admission import Admission, Admitted
from gateway.answer_headers import answer_headers, carried_headers, refusal_headers
from gateway.call import Call
from gateway.counting import CountTranslation, unaskable
from gateway.dialects.dialect import Counting, Dialect, Request, takes_forms
from gateway.edge.edge import Edge, Header
from gateway.errand import Errand
from gateway.foreign_thoughts import fitting
from gateway.form_desk import FormDesk
from gateway.http.errors import respond_error
from gateway.http.pipe import Pipe
from gateway.http.stream import Relay
from gateway.media.inliner import Fetches
from gateway.media.inspection import Inspection
from gateway.metrics import Metrics
from gateway.request_head import Said, forwarded, said, said_with_form
from gateway.responses.turn import Threads
from gateway.routing.execute import execute
from gateway.routing.table import Route, RoutingTable
from gateway.settlement import Settlement
from gateway.tags import read_tags
from gateway.translation import Translation
from gateway.translations import AnyTranslation, of_stream, translation_of, whole_answer
from gateway.unseen import check_allowed, request_without
from inference.client import Answer, Ask, ModelClient
from inference.codecs.foreign_thoughts import thinks
from inference.codecs.sse import StreamTap
from inference.codecs.surrogates import read_whole
from inference.codecs.token_estimate import estimate_input, estimate_text
from inference.deployment import Deployment
from inference.ir.cards import PromptCache
from inference.ir.errors import (
    AspendosError,
    ClientGone,
    Internal,
    Unavailable,
    UpstreamError,
)
from inference.ir.usage import Usage, UsageSource, filled
from inference.wire import JSON
from policies.api_keys import Principal

_log = structlog.stdlib.get_logger("pipeline")
_EVENT_STREAM: tuple[Header, ...] = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
)
_JSON = b"application/json"
# A member of an enumeration costs a hundred nanoseconds to look up.
_CACHED, _UNTOLD = PromptCache.AUTO, UsageSource.NONE


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
        inspection: Inspection,
        forms: FormDesk,
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
        self._inspection = inspection
        self.forms = forms
        self._threads = threads

    async def serve(self, edge: Edge, dialect: Dialect, errand: Errand | None = None) -> None:
        """Answer one request, whatever happens; it is settled exactly once.

        `errand`: nobody is connected; it says as whom, and under which id.
        """
        call = Call(self._new_id() if errand is None else errand.id, dialect.route, edge)
        call.errand = errand
        in_flight, name = self._in_flight, dialect.route
        in_flight[name] += 1
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
            in_flight[name] -= 1

    async def _run(self, edge: Edge, dialect: Dialect, call: Call) -> None:
        forms = takes_forms(dialect)
        head = edge.recall(said_with_form if forms else said)
        if forms:
            self.forms.expect(edge)
        principal = self._admission.again(head.proof) or await self._principal(edge, call, head)
        call.principal = principal
        call.waiting()
        form, content_type = await self.forms.receive(edge) if forms else (None, JSON)
        body = await edge.body() if form is None else b""
        call.working()
        table = self._catalogue.table
        if form is None:
            body, request, route = await self._understood(head, dialect, body, table, call)
        else:
            form, request, route = await self.forms.understand(edge, dialect, form, table, call)
        lane = request.lane or dialect.route
        translation = None
        if not route.speaks(lane):
            translation = translation_of(dialect, form or body, request, call, strict=head.strict)
        admitted = await self._admission.admit(call, table, principal, request, route)
        self._settlement.hold(call)
        if translation is None and not admitted.route.speaks(lane):
            translation = translation_of(dialect, form or body, request, call, strict=head.strict)
        if translation is not None:
            translation.admitted(admitted.route.model, admitted.max_output)
        ask = Ask(
            route=lane,
            body=body,
            model=request.model,
            stream=request.stream,
            hints=request.hints,
            options=request.options,
            request_id=call.id,
            max_output=admitted.max_output,
            translate=None if translation is None else translation.outgoing,
            headers=forwarded(edge, dialect.forwarded) if dialect.forwarded else b"",
            cached=admitted.route.model.prompt_cache is _CACHED,
            salt=partial(self._salt, principal),
            content_type=content_type,
            form=form,
            fitting=fitting(body, strict=head.strict) if lane == "chat" and thinks(body) else None,
        )
        edge.watch(call)
        call.waiting()
        attempts = self._attempts(admitted)
        if isinstance(translation, CountTranslation):
            attempts = [each for each in attempts if lane in each.lanes or each.counter is not None]
            if not attempts:
                self._estimate(call, translation.estimated)
                return
        if request.shows:
            await self._inspection.check(body, attempts, pictures=not isinstance(translation, Translation))
        if isinstance(translation, Translation):
            await translation.fetch(attempts, self._fetcher)
        try:
            answer = await execute(self._client, attempts, ask, call)
        except UpstreamError as error:
            if not (isinstance(dialect, Counting) and unaskable(error)):
                raise
            self._estimate(call, dialect.estimated(body))
            return
        self._quotas.answered(answer, admitted.route.model.name)
        try:
            await self._respond(call, answer, dialect, request, translation, endless=admitted.endless)
        finally:
            answer.release()

    async def _principal(self, edge: Edge, call: Call, head: Said) -> Principal:
        """Who asks: by the key that was sent, or as whom the errand is run."""
        if call.errand is not None:
            return await call.errand.principal()
        origin = Origin(address=edge.peer, request_id=call.id)
        return await self._admission.principal(head.authorization, origin, head.proof)

    def _attempts(self, admitted: Admitted) -> list[Deployment]:
        """What to try, in order, with the caller's own keys where it has some."""
        if admitted.key_for is None:
            return admitted.route.attempts(self._draw)
        return admitted.route.attempts_with(self._draw, admitted.key_for)

    async def _respond(
        self,
        call: Call,
        answer: Answer,
        dialect: Dialect,
        request: Request,
        translation: AnyTranslation | None,
        *,
        endless: bool,
    ) -> None:
        """The answer in the way it was asked for: as a stream, as it comes, or whole."""
        if request.stream and (answer.lane is not None or isinstance(translation, Translation)):
            call.working()
            await self._stream(call, answer, dialect, request, translation, endless=endless)
        elif request.piped and (answer.outgoing is None or answer.outgoing.piped):
            await self._pipe(call, answer)
        else:
            await self._deliver(call, answer, translation)

    async def _understood(
        self, head: Said, dialect: Dialect, body: bytes, table: RoutingTable, call: Call
    ) -> tuple[bytes, Request, Route]:
        """What is asked, of which model, and the body as it stands then: what it goes on from is put before it, what
        the model is never to see is taken out."""
        principal = call.principal
        assert principal is not None
        request = dialect.decode(body)
        call.stream, call.prompt, call.counted = request.stream, request.prompt, request.counted
        if head.tags is not None:
            call.tags = read_tags(head.tags)
        route = self._admission.route(table, principal, request, dialect.kind, call)
        if request.thread is not None and self._threads is not None:
            call.waiting()
            turn, body = await self._threads.begin(call.id, principal, body, request.thread)
            call.turn = None if request.thread.counted else turn
            call.working()
            if request.thread.previous is not None:
                request = dialect.decode(body)
                call.prompt = request.prompt
        if route.model.drop:
            body, request, call.dropped = request_without(dialect, body, request, route)
            check_allowed(call.dropped, strict=head.strict)
        if route.model.declares:
            self._admission.require_capabilities(table, principal, request, route, dialect=dialect, body=body)
        return body, request, route

    def _estimate(self, call: Call, body: bytes) -> None:
        """An answer of the gateway's own, which costs nothing."""
        call.working()
        call.edge.watch(None)
        self._settlement.settle(call)
        headers = [*answer_headers(call, 0), (b"content-type", _JSON), (b"x-aspendos-estimated", b"true")]
        call.edge.respond(200, headers, body)

    async def _deliver(self, call: Call, answer: Answer, translation: AnyTranslation | None) -> None:
        """A whole response: metered, then sent on, unchanged where the client speaks the target's format."""
        dropped: Sequence[str] = ()
        kind = answer.reply.header(b"content-type")
        try:
            body = await answer.read(self._max_response)
            if answer.lane is not None:
                completed = read_whole(answer.lane.completion, body)
            else:
                rendered, completed = whole_answer(translation, answer.deployment, body, kind)
                body, dropped, kind = rendered.body, rendered.dropped, rendered.content_type.encode()
        except AspendosError as error:
            call.attempt_failed(answer.deployment, error)
            raise answer.deployment.anonymous(error) from None
        call.working()
        if completed.body is not None:
            body = completed.body
        if call.turn is not None:
            body = call.turn.whole(body)
        call.edge.watch(None)
        usage = completed.usage
        if usage.source is _UNTOLD:
            usage = Usage(
                input_tokens=estimate_input(call.prompt),
                output_tokens=estimate_text(completed.text),
                source=UsageSource.COUNTED,
            )
        usage = filled(usage, call.counted)
        cost = self._settlement.settle(call, usage, finish_reason=completed.finish_reason)
        headers = answer_headers(call, cost)
        headers.append((b"content-type", kind or _JSON))
        headers += carried_headers(call, answer, dropped)
        headers.append((b"x-aspendos-cost", usd(cost).encode()))
        call.edge.respond(200, headers, body)

    async def _stream(
        self,
        call: Call,
        answer: Answer,
        dialect: Dialect,
        request: Request,
        translation: AnyTranslation | None,
        *,
        endless: bool,
    ) -> None:
        """A streamed response: passed on as it arrives until either side ends."""
        if answer.lane is not None:
            tap = answer.lane.stream(request.options)
            voice = dialect.voice(tap, request)
        else:
            tap = voice = of_stream(translation).tap(answer.deployment)
        if call.turn is not None:
            tap = voice = call.turn.stream(tap, voice)
        relay = Relay(
            call,
            answer,
            tap,
            voice,
            settlement=self._settlement,
            purse=self._settlement.purse(call, endless=endless),
            shortcut=tap.shortcut if isinstance(tap, StreamTap) else None,
        )
        call.edge.start(200, [*_EVENT_STREAM, *answer_headers(call), *carried_headers(call, answer)])
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
        call.edge.start(200, [(b"content-type", kind), *answer_headers(call), *carried_headers(call, answer)])
        call.waiting()
        pipe.start()
        try:
            await pipe.done
        except asyncio.CancelledError:
            pipe.stop()
            raise

    def _refuse(self, call: Call, dialect: Dialect, error: AspendosError) -> None:
        """Settle a call that failed, and tell the client if it is there to be told."""
        self._settlement.settle(call, status=error.http_status, error=error)
        edge = call.edge
        edge.watch(None)
        if isinstance(error, ClientGone):
            edge.abort()
        elif not edge.started:
            headers = refusal_headers(call, error)
            respond_error(edge, error, dialect.error_body(error, call.id), call.id, headers)
