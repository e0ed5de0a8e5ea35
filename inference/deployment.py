"""One place a model can be had at: its address, its headers, and how it is spoken to. Opens no connection."""

import importlib
from collections.abc import Iterator, Mapping
from typing import cast

from inference.credentials import (
    Credential,
    Versioned,
    default_headers,
    operator_headers,
    tenant_headers,
    unspoken,
)
from inference.fleet.load import Load, LoadTable
from inference.ir.cards import CacheScope, Provider, Target
from inference.ir.errors import AspendosError
from inference.transport import Origin, path_prefix
from inference.wire import (
    JSON,
    ByModel,
    Caching,
    ChatFormat,
    Counting,
    Extended,
    Framed,
    HeaderReading,
    Lane,
    LanesByModel,
    Outgoing,
    Salting,
    SaltingLane,
    TakesBytes,
    Wire,
)

USER_AGENT = "aspendos"
_MOST_HEADS = 16
"""Paths of translated requests whose heads are kept: a format has a few of them, and some with an id in it."""
_LONGEST_TOLD = 512
"""Bytes of a client's own lines that are kept likewise, for its next request brings the same."""
_ACCEPT = b"accept: application/json, text/event-stream, */*\r\n"


class Deployment:
    """One model at one address, with everything that never changes between requests made ready.

    `credential` is the tenant's key it is called with, None for the operator's own.
    """

    __slots__ = (
        "_defaults",
        "_lines",
        "_once",
        "_prefix",
        "_told",
        "_written_heads",
        "caching",
        "chat",
        "cost",
        "counter",
        "credential",
        "heads",
        "lanes",
        "load",
        "model",
        "name",
        "origin",
        "proved",
        "provider",
        "salted",
        "salting",
        "stream_heads",
        "stream_types",
        "taker",
        "telling",
        "telling_chat",
        "wire",
    )

    def __init__(self, target: Target, base_url: str, load: Load) -> None:
        provider = target.provider
        self.provider = provider
        self.credential: Credential | None = None
        self.proved = provider.aws is not None or provider.service_account is not None
        """Every request has to be proved anew; a tenant's own key is always a plain one."""
        self.model = target.model
        self.cost = target.cost
        self.origin = origin_of(provider, base_url)
        self.name = f"{target.model}@{self.origin.host}:{self.origin.port}"
        self.load = load
        self.wire = wire_of(provider)
        self._prefix = path_prefix(base_url)
        self.lanes = lanes_of(provider, self.wire, target)
        self.chat = chat_of(self.wire, target)
        self.counter = counter_of(provider, self.wire, self.chat)
        self.taker = self.chat if isinstance(self.chat, TakesBytes) else None
        self.stream_types = {
            route: lane.stream_types for route, lane in self.lanes.items() if isinstance(lane, Framed)
        }
        self._lines = _lines(provider, self.wire, self.origin)
        self._once = tuple(_once(self.wire))
        self._defaults = tuple(
            (f"{name}:".encode(), f"{name}: {value}\r\n".encode("latin-1"))
            for name, value in default_headers(provider, self.wire)
        )
        self.salted = self._salted(target.cache_scope)
        self.salting = {route: lane for route, lane in self.lanes.items() if isinstance(lane, SaltingLane)}
        self.caching = {route: lane for route, lane in self.lanes.items() if isinstance(lane, Caching)}
        self.telling = {route: lane for route, lane in self.lanes.items() if isinstance(lane, HeaderReading)}
        self.telling_chat = self.chat if isinstance(self.chat, HeaderReading) else None
        self._told: dict[bytes, bytes] = {}
        self._written_heads: dict[str, bytes] = {}
        self.heads = self._heads(stream=False)
        self.stream_heads = self._heads(stream=True)

    def keyed(self, credential: Credential) -> "Deployment":
        """The same address called with a tenant's key; connections and load are shared with the operator's calls.

        The only way a tenant's key gets near an address. Raises ValueError for a key of another provider.
        """
        if credential.provider != self.provider.name:
            raise ValueError(f"a key for {credential.provider!r} was offered to {self.provider.name!r}")
        twin = object.__new__(Deployment)
        for field in self.__slots__:
            setattr(twin, field, getattr(self, field))
        twin.credential, twin.proved = credential, False
        return twin

    def head(self, route: str, *, stream: bool, content_type: str = JSON) -> bytes:
        """Request line and headers for a route that has a lane. Raises ProviderKeyUnreadable."""
        if self.credential is None and content_type is JSON:
            return (self.stream_heads if stream else self.heads)[route]
        path = self.lanes[route].path(self.model, stream=stream)
        lines = self._lines if self.credential is None else self._own_lines()
        return self._head("POST", path, content_type, lines)

    def head_to(self, outgoing: Outgoing) -> bytes:
        """The same for a request written down for this deployment. Raises ProviderKeyUnreadable."""
        usual = not outgoing.headers and outgoing.content_type is JSON and outgoing.method == "POST"
        if not usual or self.credential is not None:
            return self._made_head(outgoing)
        head = self._written_heads.get(outgoing.path)
        if head is None:
            head = self._made_head(outgoing)
            if len(self._written_heads) < _MOST_HEADS:
                self._written_heads[outgoing.path] = head
        return head

    def _made_head(self, outgoing: Outgoing) -> bytes:
        lines = self._lines if self.credential is None else self._own_lines()
        if any(name == "accept" for name, _ in outgoing.headers):
            lines = lines.replace(_ACCEPT, b"")
        head = self._head(outgoing.method, outgoing.path, outgoing.content_type, lines)
        if outgoing.headers:
            head += "".join(f"{name}: {value}\r\n" for name, value in outgoing.headers).encode("latin-1")
        return head + self.beside(b"") if self._once else head

    def beside(self, given: bytes) -> bytes:
        """Lines of the client's own, and with them what the wire format wants said on every call.

        Of that each header goes once: the operator's word, else the client's, else the format's own.
        """
        if not self._once:
            return given
        lines = self._told.get(given)
        if lines is None:
            lines = self._each_once(given)
            if len(given) <= _LONGEST_TOLD and len(self._told) < _MOST_HEADS:
                self._told[given] = lines
        return lines

    def _each_once(self, given: bytes) -> bytes:
        free = {name for name, _ in self._defaults}
        lines = [
            line
            for line in given.splitlines(keepends=True)
            if (name := line[: line.find(b":") + 1]) not in self._once or name in free
        ]
        given = b"".join(lines)
        said = {line[: line.find(b":") + 1] for line in lines}
        return given + b"".join(line for name, line in self._defaults if name not in said)

    def _salted(self, scope: CacheScope | None) -> dict[str, str]:
        """The field for a tenant's salt by each route, and each path a translation may take, that has one."""
        salt = self.wire.salt if isinstance(self.wire, Salting) else None
        if salt is None or scope is CacheScope.SHARED:
            return {}
        if scope is None and not salt.usual_for(self.origin.host):
            return {}
        routes = [route for route in self.lanes if route in salt.routes]
        paths = [self.lanes[route].path(self.model, stream=False) for route in routes]
        return dict.fromkeys([*routes, *paths], salt.field)

    def _heads(self, *, stream: bool) -> dict[str, bytes]:
        return {
            route: self._head("POST", lane.path(self.model, stream=stream), JSON, self._lines)
            for route, lane in self.lanes.items()
        }

    def _head(self, method: str, path: str, content_type: str, lines: bytes) -> bytes:
        first = f"{method} {self._prefix}{path} HTTP/1.1\r\n"
        return first.encode("latin-1") + lines + f"content-type: {content_type}\r\n".encode("latin-1")

    def _own_lines(self) -> bytes:
        assert self.credential is not None
        return _lines(self.provider, self.wire, self.origin, self.credential.secret)

    def anonymous(self, error: AspendosError) -> AspendosError:
        """The error with the provider's name for its address, for where a worker lives is not a client's business;
        and without the keys that some providers repeat."""
        message = error.message.replace(str(self.origin), f"The provider `{self.provider.name}`")
        error.message = self.unspoken(message.encode()).decode()
        return error

    def unspoken(self, words: bytes) -> bytes:
        """What the provider says of an error, without the keys that some repeat in it."""
        return unspoken(self.provider, words, None if self.credential is None else self.credential.secret)


def deployments(target: Target, loads: LoadTable) -> tuple[Deployment, ...]:
    """Every address a target can be had at, one for each worker of a fleet."""
    return tuple(Deployment(target, url, loads.of(url)) for url in target.provider.base_urls)


def wire_of(provider: Provider) -> Wire:
    """The wire format a provider's card names: `inference/providers/<wire>.py`, dashes as underscores."""
    module = provider.wire.replace("-", "_")
    return cast(Wire, importlib.import_module(f"inference.providers.{module}").WIRE)


def lanes_of(provider: Provider, wire: Wire, target: Target | None = None) -> Mapping[str, Lane]:
    """What a server speaks: its wire format's lanes, for this target where that matters, and those of the format's
    others that its card names."""
    lanes = wire.lanes
    if target is not None and isinstance(wire, LanesByModel):
        lanes = wire.lanes_for(target.model, target.family)
    if not provider.also or not isinstance(wire, Extended):
        return lanes
    lanes = dict(lanes)
    for word in provider.also:
        lanes |= wire.also.get(word, {})
    return lanes


def chat_of(wire: Wire, target: Target) -> ChatFormat | None:
    """How conversations are written down for a target; None where it holds none."""
    chat = wire.chat
    return chat.of(target.model, target.family) if isinstance(chat, ByModel) else chat


def counter_of(provider: Provider, wire: Wire, chat: ChatFormat | None) -> Counting | None:
    """Who can be asked how many tokens a conversation is read as; None: nobody at this provider."""
    if isinstance(chat, Counting):
        return chat
    if provider.also and isinstance(wire, Extended):
        return next((wire.counters[word] for word in provider.also if word in wire.counters), None)
    return None


def origin_of(provider: Provider, base_url: str) -> Origin:
    return Origin.from_url(
        base_url,
        max_connections=provider.max_connections,
        tls_verify=provider.tls_verify,
        tls_ca=provider.tls_ca,
    )


def _once(wire: Wire) -> Iterator[bytes]:
    """The headers that a format wants on every call, each as a line begins."""
    for name, _ in wire.headers if isinstance(wire, Versioned) else ():
        yield f"{name}:".encode()


def _lines(provider: Provider, wire: Wire, origin: Origin, own_key: str | None = None) -> bytes:
    """The headers that are the same for every request, as transport wants them."""
    lines = [
        f"host: {origin.authority}",
        f"user-agent: {USER_AGENT}",
        _ACCEPT.decode().rstrip(),
        "accept-encoding: identity",
    ]
    lines += operator_headers(provider, wire) if own_key is None else tenant_headers(provider, wire, own_key)
    return "".join(f"{line}\r\n" for line in lines).encode("latin-1")
