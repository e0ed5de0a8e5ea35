"""One attempt at one model server: a card and a request in, an answer out. Knows nothing of users or money."""

import time
from collections.abc import Awaitable, Callable

import msgspec

from inference.codecs.body import with_salt
from inference.codecs.form import Form
from inference.codecs.quota_headers import exhausted, read_quota, read_retry_after
from inference.codecs.shortcut import Shortcut
from inference.credentials import (
    KEY_REFUSALS,
    key_refused,
    unspoken,
)
from inference.deployment import Deployment, origin_of
from inference.ir.bulk import Flowing
from inference.ir.cards import Provider
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
from inference.transport import Reply, Sink, Transport
from inference.wire import (
    JSON,
    FormTaking,
    Lane,
    Original,
    Outgoing,
    Steps,
    StreamOptions,
)

_EVENT_STREAM = (b"text/event-stream",)
_ERROR_LIMIT = 256 * 1024


class Ask(Original, frozen=True, kw_only=True):
    """What is asked of a model.

    `translate` writes the request down for a deployment that has no lane for the route. `headers` are lines for
    the deployments that have one, from the client's own. `cached`: mark up to where the prompt is cached. `salt` gives
    the tenant's, where caches are kept apart. `fitting` gives what of the body a deployment may have, and the names of
    the rest; None: all of it. It is asked only where the bytes are passed on. `content_type` is that of the client's
    bytes. `form` is the request where it is one; `body` is empty then.
    """

    route: str
    options: StreamOptions | None
    request_id: str
    translate: "Callable[[Deployment], Outgoing] | None" = None
    headers: bytes = b""
    cached: bool = False
    salt: Callable[[], str] | None = None
    fitting: "Callable[[Deployment], tuple[bytes, tuple[str, ...]]] | None" = None
    content_type: str = JSON
    form: Form | None = None


class Answer:
    """A target's successful response, its body still to come. `release()` must be called, once it is over.

    `lane` passes it on unchanged; where it is None it answers `outgoing`, and has to be translated back. `dropped`
    names what of the client's request was not sent, either way.
    """

    __slots__ = ("_released", "deployment", "dropped", "lane", "outgoing", "reply")

    def __init__(
        self,
        deployment: Deployment,
        reply: Reply,
        lane: Lane | None,
        outgoing: Outgoing | None = None,
        dropped: tuple[str, ...] = (),
    ) -> None:
        self.deployment = deployment
        self.reply = reply
        self.lane = lane
        self.outgoing = outgoing
        self.dropped = dropped if outgoing is None else outgoing.dropped
        self._released = False

    def read(self, limit: int) -> Awaitable[bytes]:
        """The whole body as received. Raises UpstreamGarbled."""
        return self.reply.read(limit)

    def relay(self, sink: Sink, shortcut: Shortcut | None = None) -> None:
        """Push the body, as it arrives, into `sink`, but for what `shortcut` takes."""
        self.reply.relay(sink, shortcut)

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
        outgoing, dropped = None, ()
        if lane is not None:
            if ask.fitting is not None:
                given, dropped = ask.fitting(deployment)
                ask = msgspec.structs.replace(ask, body=given)
            head, body, types = _passed(lane, deployment, ask)
        elif ask.translate is not None:
            outgoing = _apart(ask.translate(deployment), deployment, ask)
            head, body, types = _translated(outgoing, deployment, ask)
        else:
            raise _unable(deployment, ask.route)
        head = b"%sx-request-id: %s\r\n" % (head, ask.request_id.encode())
        load = deployment.load
        load.in_flight += 1
        try:
            keys = self._keys if deployment.proved else None
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
        return Answer(deployment, reply, lane, outgoing, dropped)

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


def _passed(lane: Lane, deployment: Deployment, ask: Ask) -> tuple[bytes, bytes | Flowing, tuple[bytes, ...]]:
    """The head and body of a request that goes through a lane, and what the content type of a stream begins with."""
    route, told = ask.route, ask.headers
    if told and (telling := deployment.telling.get(route)) is not None:
        given, told = telling.told(ask.body, told)
        ask = msgspec.structs.replace(ask, body=given)
    if ask.form is not None and isinstance(lane, FormTaking):
        body = lane.filled(ask.form, ask, deployment.model)
    else:
        body = _patched(lane, deployment, ask)
        if ask.cached and (caching := deployment.caching.get(route)) is not None:
            body = caching.cached(body)
    head = deployment.head(route, stream=ask.stream, content_type=ask.content_type)
    types = deployment.stream_types.get(route, _EVENT_STREAM) if ask.stream else _EVENT_STREAM
    return head + deployment.beside(told), body, types


def _translated(
    outgoing: Outgoing, deployment: Deployment, ask: Ask
) -> tuple[bytes, bytes | Flowing, tuple[bytes, ...]]:
    """The same of one that was written down for the deployment."""
    head, body = deployment.head_to(outgoing), outgoing.body
    if outgoing.bulk is not None:
        return head, outgoing.bulk, outgoing.stream_types
    if ask.headers and deployment.telling_chat is not None:
        body, told = deployment.telling_chat.told(body, ask.headers)
        head += told
    return head, body, outgoing.stream_types


def _patched(lane: Lane, deployment: Deployment, ask: Ask) -> bytes:
    """The client's bytes as the lane sends them, with the tenant's salt where one is wanted."""
    salt, field = ask.salt, deployment.salted.get(ask.route)
    if salt is None or field is None:
        return lane.request(ask, deployment.model)
    salting = deployment.salting.get(ask.route)
    if salting is not None:
        return salting.salted(ask, deployment.model, (field, salt()))
    return with_salt(lane.request(ask, deployment.model), field, salt())


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
