"""One attempt at one model server: a card and a request in, an answer out. Knows nothing of users or money."""

import importlib
import time
from collections.abc import Callable, Iterator, Mapping
from typing import cast

import msgspec
from msgspec import Struct

from inference.codecs.body import with_salt
from inference.codecs.quota_headers import exhausted, read_quota, read_retry_after
from inference.credentials import (
    KEY_REFUSALS,
    Credential,
    Versioned,
    default_headers,
    key_refused,
    operator_headers,
    tenant_headers,
    unspoken,
)
from inference.fleet.load import Load, LoadTable
from inference.ir.cards import CacheScope, Provider, Target
from inference.ir.errors import (
    AspendosError,
    InvalidField,
    ProviderKeyRefused,
    UpstreamAuth,
    UpstreamError,
    UpstreamGarbled,
)
from inference.request_keys import RequestKeys
from inference.steps import follow
from inference.transport import Origin, Reply, Sink, Transport, path_prefix
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
    Steps,
    StreamOptions,
    TakesBytes,
    Wire,
)

USER_AGENT = "aspendos"
_EVENT_STREAM = (b"text/event-stream",)
_ACCEPT = b"accept: application/json, text/event-stream, */*\r\n"
_ERROR_LIMIT = 256 * 1024


class Ask(Struct, frozen=True, kw_only=True):
    """What is asked of a model, in the client's own bytes.

    `max_output` is a limit to each answer in tokens that the gateway sets; None: the client's own words stand.
    `translate` writes the request down for a deployment that has no lane for the route. `headers` are lines for
    the deployments that have one, from the client's own. `cached`: mark up to where the prompt is cached. `salt` gives
    the tenant's, where caches are kept apart. `content_type` is that of the client's bytes.
    """

    route: str
    body: bytes
    model: str
    stream: bool
    hints: bool
    options: StreamOptions | None
    request_id: str
    max_output: int | None = None
    translate: "Callable[[Deployment], Outgoing] | None" = None
    headers: bytes = b""
    cached: bool = False
    salt: Callable[[], str] | None = None
    content_type: str = JSON


class Deployment:
    """One model at one address, with everything that never changes between requests made ready.

    `credential` is the tenant's key it is called with, None for the operator's own.
    """

    __slots__ = (
        "_defaults",
        "_lines",
        "_once",
        "_prefix",
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
        "provider",
        "salted",
        "salting",
        "stream_heads",
        "stream_types",
        "taker",
        "wire",
    )

    def __init__(self, target: Target, base_url: str, load: Load) -> None:
        provider = target.provider
        self.provider = provider
        self.credential: Credential | None = None
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
        twin.credential = credential
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
        if salt is None or scope is CacheScope.SHARED or not (salt.usual or scope is CacheScope.TENANT):
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


class Answer:
    """A target's successful response, its body still to come. `release()` must be called, once it is over.

    `lane` passes it on unchanged; where it is None it answers `outgoing`, and has to be translated back.
    """

    __slots__ = ("_released", "deployment", "lane", "outgoing", "reply")

    def __init__(
        self, deployment: Deployment, reply: Reply, lane: Lane | None, outgoing: Outgoing | None = None
    ) -> None:
        self.deployment = deployment
        self.reply = reply
        self.lane = lane
        self.outgoing = outgoing
        self._released = False

    async def read(self, limit: int) -> bytes:
        """The whole body as received. Raises UpstreamGarbled."""
        return await self.reply.read(limit)

    def relay(self, sink: Sink) -> None:
        """Push the body, as it arrives, into `sink`."""
        self.reply.relay(sink)

    def abort(self) -> None:
        """Stop the upstream at once."""
        self.reply.abort()

    def release(self) -> None:
        """Say that this call no longer loads its server; the second time does nothing."""
        if not self._released:
            self._released = True
            self.deployment.load.in_flight -= 1


class ModelClient:
    """Carries out attempts over one transport."""

    def __init__(
        self,
        transport: Transport,
        keys: RequestKeys | None = None,
        *,
        now: Callable[[], float] = time.time,
    ) -> None:
        """`keys` are for providers that want every request proved anew, and not by a key that is always the same.

        `now` tells Unix seconds.
        """
        self._transport = transport
        self._keys = keys
        self._now = now

    async def attempt(self, deployment: Deployment, ask: Ask) -> Answer:
        """Ask one deployment. Raises an UpstreamError; a refusal's body has been read and mapped."""
        lane, credential = deployment.lanes.get(ask.route), deployment.credential
        outgoing = None
        if lane is not None:
            head, body, types = _passed(lane, deployment, ask)
        elif ask.translate is not None:
            outgoing = _apart(ask.translate(deployment), deployment, ask)
            head, body, types = _translated(outgoing, deployment, ask)
        else:
            raise _unable(deployment, ask.route)
        head += b"x-request-id: " + ask.request_id.encode() + b"\r\n"
        load = deployment.load
        load.in_flight += 1
        try:
            keys = self._keys_for(deployment)
            if keys is not None:
                head += await keys.lines(deployment.provider, head, body)
            reply = await self._transport.send(deployment.origin, head, body, deployment.provider.timeouts)
            if outgoing is not None and outgoing.steps is not None:
                reply = await self._followed(deployment, outgoing.steps, reply)
            if reply.status != 200:
                if reply.status == 401 and keys is not None:
                    keys.refused(deployment.provider)
                raise await self._refusal(deployment, reply)
            if ask.stream and not (reply.header(b"content-type") or b"").startswith(types):
                reply.abort()
                raise UpstreamGarbled("The upstream was asked for a stream and answered without one.")
        except UpstreamError as error:
            load.in_flight -= 1
            if credential is not None and isinstance(error, ProviderKeyRefused):
                credential.refused(error)
            raise deployment.anonymous(error) from None
        except BaseException:
            load.in_flight -= 1
            raise
        if credential is not None:
            credential.worked()
        return Answer(deployment, reply, lane, outgoing)

    def _keys_for(self, deployment: Deployment) -> RequestKeys | None:
        """A tenant's own key is always a plain one."""
        keys = self._keys
        return (
            keys
            if keys is not None and deployment.credential is None and keys.proves(deployment.provider)
            else None
        )

    async def _followed(self, deployment: Deployment, steps: Steps, reply: Reply) -> Reply:
        """The reply that a provider keeps until it is fetched, or its refusal."""
        timeouts = deployment.provider.timeouts

        async def send(ask: Outgoing) -> Reply:
            return await self._transport.send(deployment.origin, deployment.head_to(ask), ask.body, timeouts)

        return await follow(steps, reply, send, total=timeouts.total)

    def connections(self, provider: Provider) -> tuple[int, int]:
        """Open connections to a provider: idle, busy."""
        idle = busy = 0
        for url in provider.base_urls:
            open_now = self._transport.open_connections(origin_of(provider, url))
            idle += open_now.idle
            busy += open_now.busy
        return idle, busy

    async def _refusal(self, deployment: Deployment, reply: Reply) -> AspendosError:
        try:
            body = await reply.read(_ERROR_LIMIT)
        except UpstreamGarbled:
            body = b""
        now = self._now()
        quota = read_quota(reply.headers, now)
        retry_after = read_retry_after(reply.headers, now)
        if retry_after is None and reply.status == 429:
            retry_after = exhausted(quota)
        error = self._mapped(deployment, reply.status, retry_after, body)
        if isinstance(error, UpstreamError):
            error.answered, error.quota = reply.status, quota
        return error

    def _mapped(
        self, deployment: Deployment, status: int, retry_after: float | None, body: bytes
    ) -> AspendosError:
        """A refusal as one of ours; of a tenant's key, in words that say whose it is."""
        credential, provider = deployment.credential, deployment.provider
        body = unspoken(provider, body, credential.secret if credential is not None else None)
        error = deployment.wire.error(status, retry_after, body)
        if credential is None:
            return error
        # Google refuses a key with status 400, and only its code says that it is the key.
        refused = status if status in KEY_REFUSALS else 401 if isinstance(error, UpstreamAuth) else None
        if refused is None:
            return error
        return key_refused(provider.name, deployment.wire, refused, error.retry_after or retry_after, body)


def _passed(lane: Lane, deployment: Deployment, ask: Ask) -> tuple[bytes, bytes, tuple[bytes, ...]]:
    """The head and body of a request that goes through a lane, and what the content type of a stream begins with."""
    told = ask.headers
    if told and isinstance(lane, HeaderReading):
        given, told = lane.told(ask.body, told)
        ask = msgspec.structs.replace(ask, body=given)
    body = _patched(lane, deployment, ask)
    if ask.cached and isinstance(lane, Caching):
        body = lane.cached(body)
    head = deployment.head(ask.route, stream=ask.stream, content_type=ask.content_type)
    types = deployment.stream_types.get(ask.route, _EVENT_STREAM) if ask.stream else _EVENT_STREAM
    return head + deployment.beside(told), body, types


def _translated(
    outgoing: Outgoing, deployment: Deployment, ask: Ask
) -> tuple[bytes, bytes, tuple[bytes, ...]]:
    """The same of one that was written down for the deployment."""
    head, body = deployment.head_to(outgoing), outgoing.body
    if ask.headers and isinstance(deployment.chat, HeaderReading):
        body, told = deployment.chat.told(body, ask.headers)
        head += told
    return head, body, outgoing.stream_types


def _patched(lane: Lane, deployment: Deployment, ask: Ask) -> bytes:
    """The client's bytes as the lane sends them, with the tenant's salt where one is wanted."""
    salt = ask.salt
    field = deployment.salted.get(ask.route) if salt is not None else None
    salting = deployment.salting.get(ask.route)
    if salt is not None and field is not None and salting is not None:
        return salting.salted(
            ask.body,
            (field, salt()),
            asked=ask.model,
            model=deployment.model,
            stream=ask.stream,
            hints=ask.hints,
            max_output=ask.max_output,
        )
    body = lane.request(
        ask.body,
        asked=ask.model,
        model=deployment.model,
        stream=ask.stream,
        hints=ask.hints,
        max_output=ask.max_output,
    )
    return body if salt is None or field is None else with_salt(body, field, salt())


def _apart(outgoing: Outgoing, deployment: Deployment, ask: Ask) -> Outgoing:
    """A translated request with the tenant's salt, where one is wanted."""
    field = deployment.salted.get(outgoing.path)
    if field is None or ask.salt is None:
        return outgoing
    return msgspec.structs.replace(outgoing, body=with_salt(outgoing.body, field, ask.salt()))


def _unable(deployment: Deployment, route: str) -> InvalidField:
    return InvalidField(
        f"The provider `{deployment.provider.name}` cannot serve this route ({route}), and there is no translation "
        "to what it speaks.",
        param="model",
        code="route_not_served",
    )


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
