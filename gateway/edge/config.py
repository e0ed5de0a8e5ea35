"""EdgeConfig: the hot routes and the limits every request is held to; refuses to know what a route does."""

from collections.abc import Callable, Mapping, Sequence

import msgspec

from gateway.edge.edge import Handler, Header
from inference.ir.errors import AspendosError

RenderedError = tuple[int, Sequence[Header], bytes]
ErrorRenderer = Callable[[AspendosError, str | None, str], RenderedError]


class Room(msgspec.Struct, frozen=True):
    """What a route may be sent that takes more than others."""

    max_body: int
    body_timeout: float


class EdgeConfig(msgspec.Struct, frozen=True, kw_only=True):
    """What the connection needs to know of the application. Sizes in bytes, times in seconds."""

    routes: Mapping[tuple[str, str], Handler]
    """(method, path) of each hot route; everything else goes to the ASGI application."""
    find: Callable[[str, str], Handler | None] | None = None
    """The hot routes whose path is no fixed text: asked with method and path, unquoted and without the query, for
    what `routes` does not hold. None of it: the ASGI application's."""
    render_error: ErrorRenderer
    """An error met before or outside a handler, the request's id where it gave one, and its path (unquoted, without
    the query; empty where none was read) -> status, headers and body, in the JSON of that path's clients."""
    max_body: int = 32 * 1024 * 1024
    max_header_bytes: int = 64 * 1024
    max_headers: int = 100
    max_target: int = 8 * 1024
    """The longest request target; beyond it the answer is 414."""
    header_timeout: float = 10.0
    """From the first byte of a head, or from the connection's start, to the head's end."""
    body_timeout: float = 30.0
    """From the end of the head to the end of the body, whatever its size."""
    roomy: Mapping[bytes, Room] = {}
    """Targets of the ASGI application that may be sent longer bodies than the others, and for longer; as they are
    plainly written, without a query."""
    write_timeout: float = 60.0
    """How long a client may take nothing of what waits for it; then it counts as gone."""
    keepalive_timeout: float = 75.0
    """How long a connection may idle between requests; longer than the idle time-out of common load
    balancers, so that they close first and never send into a closing connection."""
    leaving: Callable[[], None] = lambda: None
    """Told once, when the server has been asked to end: from then on it wants no more traffic."""

    def handler(self, method: str, path: str) -> Handler | None:
        """The hot route for a path, however it is written down; None where it is none."""
        found = self.routes.get((method, path))
        return self.find(method, path) if found is None and self.find is not None else found


def edge_of(app: object) -> EdgeConfig:
    """The EdgeConfig of an application, looked for under any middleware a server has wrapped around it.

    Raises TypeError where there is none.
    """
    layer: object | None = app
    while layer is not None:
        found = getattr(layer, "edge", None)
        if isinstance(found, EdgeConfig):
            return found
        layer = getattr(layer, "app", None)
    raise TypeError(f"{type(app).__name__} has no `edge`: wrap it in gateway.edge.asgi.EdgeApp")
