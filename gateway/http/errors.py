"""Errors on their way out: any failure as a status, headers and the client's own JSON. Never a stack trace.

Met in a handler, an error is written by its dialect. Met before or outside one, the path tells whose client it is.
"""

import re
from collections.abc import Mapping, Sequence

from gateway.dialects.anthropic_messages.errors import error_body as anthropic_body
from gateway.dialects.anthropic_messages.errors import status_of as anthropic_status
from gateway.dialects.gemini.errors import error_body as gemini_body
from gateway.dialects.openai_errors import error_body as openai_body
from gateway.edge.edge import Edge, Header
from inference.ir.content import Family
from inference.ir.errors import AspendosError, MissingKey, Unauthenticated

_JSON = (b"content-type", b"application/json")
_BODIES = {Family.ANTHROPIC: anthropic_body, Family.GEMINI: gemini_body}
_BASE = r"(?:/(?:v1|v2|api|openai|anthropic|gemini))*"
"""What may stand before a path where a base URL is wrong: its client is to read why all the same."""
_ANTHROPIC = re.compile(_BASE + r"/messages(?:/|$)")
_GEMINI = re.compile(
    _BASE + r"(?:/v1(?:beta1?|alpha)(?:/|$)|/(?:projects|publishers)/|/models/.*:[a-z]+[A-Z]\w*$)", re.DOTALL
)
"""Google's paths, with any verb: one that is not served here is asked for by a client of Google's all the same."""
_SHARED = re.compile(_BASE + r"/models(?:/|$)")
"""What everybody's clients ask for alike."""
_GOOGLES_HEADERS = ("x-goog-api-key", "x-goog-api-client")


def family_of(path: str, headers: Mapping[str, str] | None = None) -> Family:
    """Whose clients ask for a path (unquoted, without a query); OpenAI's where nobody else's do.

    Who asks for models is told by `headers`, by names in lower case.
    """
    if _ANTHROPIC.match(path):
        return Family.ANTHROPIC
    if _GEMINI.match(path):
        return Family.GEMINI
    if headers and _SHARED.match(path):
        if any(name in headers for name in _GOOGLES_HEADERS):
            return Family.GEMINI
        if "anthropic-version" in headers:
            return Family.ANTHROPIC
    return Family.OPENAI_CHAT


def render_error(
    error: AspendosError, request_id: str | None, path: str = "", headers: Mapping[str, str] | None = None
) -> tuple[int, list[Header], bytes]:
    """Status, headers and body of an error met outside a handler, as the clients of a path read it.

    `headers` are the request's, where they are known, by names in lower case.
    """
    family = family_of(path, headers)
    said = _headers(error, request_id, family)
    if family is Family.ANTHROPIC and request_id:
        said.append((b"request-id", request_id.encode()))
    return _status(error, family), said, _BODIES.get(family, openai_body)(error, request_id)


def respond_error(
    edge: Edge, error: AspendosError, body: bytes, request_id: str, extra: Sequence[Header] = ()
) -> None:
    """Answer with an error in the client's dialect, when nothing has been sent yet."""
    family = family_of(edge.path)
    headers = [*_headers(error, request_id, family), *extra]
    edge.respond(_status(error, family), headers, body)


def _status(error: AspendosError, family: Family) -> int:
    """The status as the client's family has it; the error's own is what is recorded."""
    return anthropic_status(error) if family is Family.ANTHROPIC else error.http_status


def _headers(error: AspendosError, request_id: str | None, family: Family) -> list[Header]:
    """`retry-after` in whole seconds, rounded up, for everybody; OpenAI's SDKs also read it in milliseconds."""
    headers: list[Header] = [_JSON]
    if request_id:
        headers.append((b"x-request-id", request_id.encode()))
    if isinstance(error, Unauthenticated):
        headers.append((b"www-authenticate", _challenge(error)))
    if error.retry_after is not None:
        headers.append((b"retry-after", b"%d" % max(1, -int(-error.retry_after // 1))))
        if family is Family.OPENAI_CHAT:
            headers.append((b"retry-after-ms", b"%d" % max(1, -int(-error.retry_after * 1000 // 1))))
    return [*headers, *error.headers]


def _challenge(error: Unauthenticated) -> bytes:
    """How to prove oneself (RFC 6750 §3); of something sent and refused, why, in characters a header may hold."""
    if isinstance(error, MissingKey):
        return b'Bearer realm="aspendos"'
    said = error.message.replace("\\", "/").replace('"', "'").replace("…", "...")
    why = "".join(letter if " " <= letter <= "~" else "?" for letter in said)
    return f'Bearer realm="aspendos", error="invalid_token", error_description="{why}"'.encode()
