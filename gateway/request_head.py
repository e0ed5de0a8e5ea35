"""Request head: what a client says beside the body, and what is refused before that is read."""

from collections.abc import Sequence

from msgspec import Struct

from gateway.edge.edge import Edge
from inference.codecs.form import FORM, boundary_in, boundary_of
from inference.ir.bulk import Data
from inference.ir.errors import BadRequest, MethodNotAllowed, UnsupportedMedia
from inference.wire import JSON
from policies.api_keys import Proof

_JSON = b"application/json"
_KEY_HEADERS = (b"x-api-key", b"x-goog-api-key", b"api-key")
"""Where Anthropic's, Google's and Azure's SDKs put a key."""
_NO = (b"0", b"false", b"")


class Said(Struct):
    """What the head of a request says to all that may be asked of it; made once for as long as it is repeated.

    `proof` is what its key was found to prove; it outlives the request with the rest.
    """

    authorization: bytes | None
    tags: bytes | None
    strict: bool
    proof: Proof


def said(edge: Edge) -> Said:
    """Of a request whose body is JSON. Raises MethodNotAllowed or UnsupportedMedia."""
    check_head(edge, JSON)
    return _said(edge)


def said_with_form(edge: Edge) -> Said:
    """Of one whose body is a form. Raises the same."""
    check_head(edge, FORM)
    return _said(edge)


def _said(edge: Edge) -> Said:
    return Said(authorization(edge), edge.header(b"x-aspendos-tags"), wants_all(edge), Proof())


def authorization(edge: Edge) -> bytes | None:
    """The caller's key as a bearer token, whichever header the client's SDK sends it in."""
    bearer = edge.header(b"authorization")
    if bearer is None:
        for name in _KEY_HEADERS:
            key = edge.header(name)
            if key is not None:
                return b"Bearer " + key
    return bearer


def wants_all(edge: Edge) -> bool:
    """Whether the client wants nothing left out on the way to a model."""
    header = edge.header(b"x-aspendos-strict")
    return header is not None and header not in _NO


def forwarded(edge: Edge, names: Sequence[bytes]) -> bytes:
    """The client's own headers that a provider of its dialect is to see, as lines."""
    lines: list[bytes] = []
    for name in names:
        value = edge.header(name)
        if value is not None:
            lines.append(name + b": " + value + b"\r\n")
    return b"".join(lines)


def form_type(edge: Edge, body: Data) -> str:
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
        raise MethodNotAllowed(f"{edge.path} takes POST, not {edge.method}.", allow="POST")
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
