"""FormDesk: requests that come as forms with files, taken in and understood; large ones without being held.

The pipeline's counterpart for what is no JSON. Refuses to know where a form goes.
"""

from functools import partial
from typing import NamedTuple

from gateway.admission import Admission
from gateway.call import Call
from gateway.dialects.dialect import Dialect, FormReader, Request, form_reader
from gateway.edge.edge import Edge
from gateway.edge.spool import Spools
from gateway.request_head import form_type, wants_all
from gateway.routing.table import Route, RoutingTable
from gateway.tags import read_tags
from gateway.unseen import check_allowed, form_without
from inference.codecs.form import Form, read_form


class Received(NamedTuple):
    """A form as it came, and its content type."""

    form: Form
    content_type: str


class FormDesk:
    """One for all requests of a process."""

    def __init__(self, spools: Spools, admission: Admission) -> None:
        self.spools = spools
        self._admission = admission

    def expect(self, edge: Edge) -> None:
        """To be said before anything is awaited."""
        edge.spool(self.spools)

    async def receive(self, edge: Edge) -> Received:
        """Raises what `Edge.upload` raises, BadRequest and InvalidField."""
        body = await edge.upload()
        content_type = form_type(edge, body)
        if isinstance(body, bytes):
            return Received(read_form(body), content_type)
        return Received(await self.spools.apart(partial(read_form, body)), content_type)

    async def understand(
        self, edge: Edge, dialect: Dialect, form: Form, table: RoutingTable, call: Call
    ) -> tuple[Form, Request, Route]:
        """What is asked, of which model, and the form less what that is never to see."""
        principal = call.principal
        assert principal is not None
        reader = form_reader(dialect)
        request = await self._decoded(reader, form)
        call.stream, call.prompt, call.counted = request.stream, request.prompt, request.counted
        tags = edge.header(b"x-aspendos-tags")
        if tags is not None:
            call.tags = read_tags(tags)
        route = self._admission.route(table, principal, request, dialect.kind, call)
        if route.model.drop:
            form, call.dropped = form_without(form, route.model.drop)
            check_allowed(call.dropped, strict=wants_all(edge))
            if call.dropped:
                request = await self._decoded(reader, form)
        if route.model.declares:
            self._admission.require_capabilities(table, principal, request, route, dialect=dialect, body=b"")
        return form, request, route

    async def _decoded(self, reader: FormReader, form: Form) -> Request:
        """Files are looked at by that, and to look at bulk is to wait for the disk."""
        if isinstance(form.body, bytes):
            return reader.decode_form(form)
        return await self.spools.apart(partial(reader.decode_form, form))
