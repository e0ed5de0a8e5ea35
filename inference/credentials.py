"""Credentials: how a key travels to a provider, and how it is kept out of what comes back. Pure.

Two kinds: the operator's, which the provider's card holds, and a tenant's own, which replaces it for one call.
What the operator's account adds beside its key (secrets in headers, an organisation's name) stays at home then.
"""

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import msgspec

from inference.codecs.secret_shapes import without_secrets
from inference.codecs.tracebacks import without_traceback
from inference.ir.cards import Provider
from inference.ir.errors import ProviderKeyLimited, ProviderKeyRefused, ProviderKeyUnpaid

if TYPE_CHECKING:
    from inference.wire import Wire

KEY_REFUSALS: dict[int, type[ProviderKeyRefused]] = {
    401: ProviderKeyRefused,
    402: ProviderKeyUnpaid,
    403: ProviderKeyRefused,
    429: ProviderKeyLimited,
}
"""Statuses by which a provider speaks of the key and not of the request."""


@runtime_checkable
class Versioned(Protocol):
    """A wire format that wants headers on every call. Names in lower case; each is sent once."""

    headers: Sequence[tuple[str, str]]


_SECRET_HEADER = re.compile(r"auth|key|token|secret", re.IGNORECASE)
_REASON_LIMIT = 300


class Credential(Protocol):
    """A tenant's own key for one provider, used in place of the operator's.

    `secret` may raise ProviderKeyUnreadable. `worked` and `refused` are told how the provider took it.
    """

    @property
    def provider(self) -> str:
        """The provider's name in the catalogue; the key goes nowhere else."""
        ...

    @property
    def secret(self) -> str: ...
    def worked(self) -> None: ...
    def refused(self, error: ProviderKeyRefused) -> None: ...


def default_headers(provider: Provider, wire: "Wire") -> Iterator[tuple[str, str]]:
    """What a wire format wants said on every call (the version of an API), where the operator says nothing else."""
    said = {name.lower() for name, _ in provider.headers}
    for name, value in wire.headers if isinstance(wire, Versioned) else ():
        if name not in said:
            yield name, value


def operator_headers(provider: Provider, wire: "Wire") -> Iterator[str]:
    """Header lines of a call with the operator's key."""
    if provider.key is not None:
        name, value = wire.credential(provider.key)
        yield f"{name}: {value}"
    for name, value in provider.headers:
        yield f"{name.lower()}: {value}"


def tenant_headers(provider: Provider, wire: "Wire", secret: str | None) -> Iterator[str]:
    """Header lines of a call with a tenant's key, or with none: nothing of the operator's account is in them."""
    if secret is not None:
        name, value = wire.credential(secret)
        yield f"{name}: {value}"
    for name, value in provider.headers:
        if name.lower() not in provider.account_headers and not _SECRET_HEADER.search(name):
            yield f"{name.lower()}: {value}"


def unspoken(provider: Provider, body: bytes, own_key: str | None = None) -> bytes:
    """An upstream's words of an error without any secret: some repeat the key they were sent, or where in their code
    they failed."""
    secrets = [value for name, value in provider.headers if _SECRET_HEADER.search(name)]
    if provider.aws is not None:
        secrets += [provider.aws.secret_key, provider.aws.session_token or "", provider.aws.access_key]
    for secret in (*secrets, provider.key, own_key):
        if secret:
            body = body.replace(secret.encode(), b"***")
            escaped = msgspec.json.encode(secret)[1:-1]
            for written in (escaped, escaped.replace(b"/", b"\\/")):
                body = body.replace(written, b"***")
    return without_secrets(without_traceback(body))


def key_refused(
    provider: str, wire: "Wire", status: int, retry_after: float | None, body: bytes
) -> ProviderKeyRefused:
    """The provider's refusal of a tenant's key, in words that say whose key it is. `body` holds no secret."""
    reason = refusal_reason(wire, body)
    said = f": {reason}" if reason else "."
    about = {
        402: "says that the account behind your own key cannot pay",
        429: "is limiting the account behind your own key",
    }.get(status, "refused your own key")
    return KEY_REFUSALS[status](
        f"The provider `{provider}` {about} (status {status}){said} "
        "It is the key stored for you, your team or your organisation under /admin/v1/provider-keys, not the "
        "gateway's: replace it there, or let it fall back to the gateway's.",
        retry_after=retry_after,
    )


def refusal_reason(wire: "Wire", body: bytes) -> str:
    """The provider's own words on a refusal, one short line of them."""
    # Read as a refused request, for only there the words are kept as they are; not as 400, which may be of a key.
    message = wire.error(422, None, body).message
    line = " ".join(message.split())
    return line if len(line) <= _REASON_LIMIT else line[:_REASON_LIMIT] + "…"
