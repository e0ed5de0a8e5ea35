"""Answer headers: what every answer says of itself before its body."""

from collections.abc import Sequence
from functools import lru_cache

from gateway.call import Call
from gateway.edge.edge import Header
from gateway.limits import anthropic_headers, headers_of
from inference.client import Answer
from inference.ir.errors import AspendosError

_ID_HEADERS = {"messages": b"request-id", "count_tokens": b"request-id"}
"""What Anthropic's SDKs call the id of a request; these are the routes where they are at home."""


def answer_headers(call: Call, cost: int | None = None) -> list[Header]:
    """The request's id, who answers it, what is left of its limits, and what the gateway itself took.

    `cost` is in nano-USD, None while it is not known.
    """
    found = [(b"x-request-id", call.id.encode()), *where_tried(call)]
    at = None
    if call.route in _ID_HEADERS:
        found += also_named(call)
        at = call.arrived_ns / 1e9
    if call.ticket is not None:
        found += headers_of(call.ticket, cost, at)
    found.append((b"x-aspendos-overhead-us", b"%d" % call.overhead_us()))
    return found


def refusal_headers(call: Call, error: AspendosError) -> list[Header]:
    """The same of an answer that is an error, beside what the error itself brings."""
    found = [*also_named(call), *where_tried(call)]
    if call.ticket is not None and not error.headers:
        found += headers_of(call.ticket, 0)
    if call.route in _ID_HEADERS:
        found += anthropic_headers([*error.headers, *found], call.arrived_ns / 1e9)
    return found


def also_named(call: Call) -> list[Header]:
    """The id again, under the name where the SDKs of this route look for it."""
    name = _ID_HEADERS.get(call.route)
    return [] if name is None else [(name, call.id.encode())]


def where_tried(call: Call) -> tuple[Header, ...]:
    """Which model and provider were tried last, and how many targets; nothing where none was."""
    model, deployment = call.model, call.deployment
    if model is None or deployment is None:
        return ()
    return _tried(model.name, deployment.provider.name, call.attempts)


@lru_cache(maxsize=1024)
def _tried(model: str, provider: str, attempts: int) -> tuple[Header, ...]:
    return (
        (b"x-aspendos-model", model.encode()),
        (b"x-aspendos-provider", provider.encode()),
        (b"x-aspendos-attempts", b"%d" % attempts),
    )


def carried_headers(call: Call, answer: Answer, more: Sequence[str] = ()) -> list[Header]:
    """How a request was carried to the model: by what an answer of a given form was asked for, where a translated
    request asked for one, and the names of what was not carried there or back, where something was not."""
    written = answer.outgoing
    found: list[Header] = []
    if call.dropped or answer.dropped or more:
        names = (*call.dropped, *answer.dropped, *more)
        found.append((b"x-aspendos-dropped", ", ".join(dict.fromkeys(names)).encode("ascii", "replace")))
    if written is not None and written.structured is not None:
        found.append((b"x-aspendos-structured", written.structured.encode()))
    return found
