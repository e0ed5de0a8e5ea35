"""One attempt with a tenant's own key: what is sent, to whom, and what is said when the provider will not have it."""

from collections.abc import AsyncGenerator

import msgspec
import pytest

from inference.client import Ask, ModelClient
from inference.deployment import Deployment
from inference.fleet.load import Load
from inference.ir.cards import Provider, Target
from inference.ir.errors import (
    AspendosError,
    ProviderKeyLimited,
    ProviderKeyRefused,
    ProviderKeyUnpaid,
    ProviderKeyUnreadable,
    UpstreamAuth,
    UpstreamError,
    UpstreamFailed,
    UpstreamRefused,
)
from inference.ir.quota import Limit, Quota
from inference.transport import Transport
from inference.wire import Outgoing
from tests.own_key import OWN_SECRET, OwnKey
from tests.scripted_peer import Peer, Talk

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"
ASK = Ask(
    route="chat",
    body=b'{"model":"m"}',
    model="m",
    stream=False,
    hints=False,
    options=None,
    request_id="req-1",
)
OPERATORS = "sk-operator-canary"


class Server:
    """Answers every request the same, and keeps what it was sent."""

    def __init__(self, answer: bytes = ANSWER) -> None:
        self.answer = answer
        self.asked: list[str] = []

    async def __call__(self, talk: Talk) -> None:
        while True:
            self.asked.append((await talk.ask()).raw.decode())
            await talk.say(self.answer)


def refusal(status: int, body: bytes = b"{}", *headers: bytes) -> bytes:
    lines = b"".join(header + b"\r\n" for header in headers)
    return b"HTTP/1.1 %d No\r\n%bcontent-length: %d\r\n\r\n%b" % (status, lines, len(body), body)


@pytest.fixture
async def transport() -> AsyncGenerator[Transport]:
    made = Transport()
    yield made
    await made.close()


def deployment(peer: Peer, *, name: str = "theirs") -> Deployment:
    url = f"http://127.0.0.1:{peer.port}/v1"
    provider = Provider(
        name=name,
        wire="openai",
        base_urls=(url,),
        key=OPERATORS,
        headers=(
            ("x-api-version", "7"),
            ("x-account", "operators-account"),
            ("X-Auth-Also", "operators-second-secret"),
        ),
        account_headers=frozenset({"x-account"}),
    )
    return Deployment(Target(provider=provider, model="real"), url, Load())


async def ask(transport: Transport, target: Deployment) -> None:
    answer = await ModelClient(transport).attempt(target, ASK)
    await answer.read(1000)
    answer.release()


async def test_the_tenants_key_takes_the_place_of_the_operators(transport: Transport) -> None:
    server, key = Server(), OwnKey("theirs")
    async with Peer(server) as peer:
        plain = deployment(peer)
        await ask(transport, plain.keyed(key))
        await ask(transport, plain)
        assert peer.accepted == 1  # the connection is shared, only the header differs
    own, operators = server.asked
    assert f"authorization: Bearer {OWN_SECRET}\r\n" in own
    assert own.lower().count("authorization:") == 1
    for secret in (OPERATORS, "operators-account", "operators-second-secret"):
        assert secret not in own
        assert secret in operators
    assert OWN_SECRET not in operators
    assert "x-api-version: 7\r\n" in own
    assert '"model":"real"' in own
    assert key.told == ["worked"]
    assert plain.load.in_flight == 0


async def test_a_key_of_another_provider_never_gets_near(transport: Transport) -> None:
    server = Server()
    async with Peer(server) as peer:
        with pytest.raises(ValueError, match="'elsewhere' was offered to 'theirs'"):
            deployment(peer).keyed(OwnKey("elsewhere"))
    assert server.asked == []


@pytest.mark.parametrize(
    ("status", "error", "ours"),
    [
        (401, ProviderKeyRefused, 403),
        (402, ProviderKeyUnpaid, 402),
        (403, ProviderKeyRefused, 403),
        (429, ProviderKeyLimited, 429),
    ],
)
async def test_a_refused_key_is_said_to_be_theirs(
    transport: Transport, status: int, error: type[AspendosError], ours: int
) -> None:
    body = b'{"error":{"message":"No good: sk-tenant-canary-93b7\\/e1\\"f0","code":"x"}}'
    server, key = Server(refusal(status, body, b"retry-after: 7")), OwnKey("theirs")
    async with Peer(server) as peer:
        target = deployment(peer).keyed(key)
        with pytest.raises(error) as refused:
            await ask(transport, target)
    told = refused.value
    assert (told.http_status, told.code, told.retry_after) == (ours, "provider_key_refused", 7.0)
    assert "your own key" in told.message
    assert "`theirs`" in told.message
    assert "No good: ***" in told.message
    assert "sk-tenant-canary" not in told.message
    assert key.told == [f"refused {ours}"]
    assert target.load.in_flight == 0


async def test_the_operators_key_refused_is_still_the_operators_fault(transport: Transport) -> None:
    async with Peer(Server(refusal(401))) as peer:
        with pytest.raises(UpstreamAuth):
            await ask(transport, deployment(peer))


@pytest.mark.parametrize(("status", "error"), [(400, UpstreamRefused), (500, UpstreamFailed)])
async def test_other_failures_say_nothing_of_the_key(
    transport: Transport, status: int, error: type[AspendosError]
) -> None:
    key = OwnKey("theirs")
    words = f"broken with {OWN_SECRET} and Bearer {OWN_SECRET}".replace('"', '\\"')
    async with Peer(Server(refusal(status, b'{"error":{"message":"%b"}}' % words.encode()))) as peer:
        with pytest.raises(error) as failed:
            await ask(transport, deployment(peer).keyed(key))
    assert key.told == []
    assert "sk-tenant-canary" not in failed.value.message
    assert "broken with ***" in failed.value.message


async def test_a_key_that_cannot_be_read_is_not_sent(transport: Transport) -> None:
    server = Server()
    async with Peer(server) as peer:
        target = deployment(peer).keyed(OwnKey("theirs", unreadable=True))
        with pytest.raises(ProviderKeyUnreadable):
            await ask(transport, target)
        assert target.load.in_flight == 0
    assert server.asked == []


# what a wire format wants said on every call


def versioned(*headers: tuple[str, str], wire: str = "anthropic") -> Deployment:
    provider = Provider(name="p", wire=wire, base_urls=("http://127.0.0.1:1",), headers=headers)
    return Deployment(Target(provider=provider, model="real"), "http://127.0.0.1:1", Load())


def test_each_such_header_goes_once() -> None:
    """The operator's word goes before the client's, and that before the format's own."""
    own, theirs, beta = (
        b"anthropic-version: 2023-06-01\r\n",
        b"anthropic-version: 2026\r\n",
        b"anthropic-beta: b\r\n",
    )
    plain, pinned = versioned(), versioned(("Anthropic-Version", "2024"))
    assert plain.beside(b"") == own
    assert plain.beside(beta) == beta + own
    assert plain.beside(theirs + beta) == theirs + beta
    assert pinned.beside(theirs + beta) == beta
    assert versioned(wire="openai").beside(theirs) == theirs
    assert pinned.head_to(Outgoing(path="/v1/messages", body=b"")).count(b"anthropic-version") == 1
    assert b"anthropic-version: 2024" in pinned.head_to(Outgoing(path="/v1/messages", body=b""))
    assert plain.head_to(Outgoing(path="/v1/messages", body=b"")).endswith(own)


def test_what_many_clients_say_is_not_kept_for_ever() -> None:
    """Each is told on as it said it, also after the first few, whose lines are kept; and so are those kept."""
    plain, own = versioned(), b"anthropic-version: 2023-06-01\r\n"
    for _ in range(2):
        for number in range(100):
            beta = b"anthropic-beta: %d\r\n" % number
            assert plain.beside(beta) == beta + own
        long = b"anthropic-beta: %b\r\n" % (b"x" * 4096)
        assert plain.beside(long) == long + own


async def test_a_key_that_google_refuses_with_400_is_still_the_tenants(transport: Transport) -> None:
    details = b'[{"reason":"API_KEY_INVALID"}]'
    body = b'{"error":{"code":400,"message":"API key not valid.","status":"INVALID_ARGUMENT","details":%b}}'
    async with Peer(Server(refusal(400, body % details))) as peer:
        url = f"http://127.0.0.1:{peer.port}/v1beta"
        provider = Provider(name="theirs", wire="gemini", base_urls=(url,), key=OPERATORS)
        target = Deployment(Target(provider=provider, model="m"), url, Load())
        asked = Ask(
            route="gemini", body=b"{}", model="m", stream=False, hints=False, options=None, request_id="req-1"
        )
        with pytest.raises(ProviderKeyRefused, match="API key not valid"):
            await ModelClient(transport).attempt(target.keyed(OwnKey("theirs")), asked)
        with pytest.raises(UpstreamAuth):
            await ModelClient(transport).attempt(target, asked)


# limits, and when to come back


@pytest.mark.parametrize(
    ("status", "headers", "seconds"),
    [
        (429, (b"Retry-After: 7",), 7.0),
        (429, (b"Retry-After: Thu, 01 Jan 1970 00:17:10 GMT",), 30.0),
        (503, (b"retry-after: 7", b"retry-after-ms: 6500"), 6.5),
        (529, (b"retry-after: 3",), 3.0),
        (429, (b"x-ratelimit-remaining-requests: 0", b"x-ratelimit-reset-requests: 1m1s"), 61.0),
        (503, (b"x-ratelimit-remaining-requests: 0", b"x-ratelimit-reset-requests: 1m1s"), None),
        (429, (b"x-ratelimit-remaining-requests: 1", b"x-ratelimit-reset-requests: 1m1s"), None),
    ],
)
async def test_a_refusal_says_when_to_come_back(
    transport: Transport, status: int, headers: tuple[bytes, ...], seconds: float | None
) -> None:
    async with Peer(Server(refusal(status, b"{}", *headers))) as peer:
        client = ModelClient(transport, now=lambda: 1000.0)
        with pytest.raises(UpstreamError) as refused:
            await client.attempt(deployment(peer), ASK)
    assert refused.value.retry_after == seconds
    assert refused.value.answered == status


async def test_a_refusal_brings_the_limits_it_told_of(transport: Transport) -> None:
    lines = (b"x-ratelimit-limit-tokens: 100", b"x-ratelimit-remaining-tokens: 3")
    async with Peer(Server(refusal(429, b"{}", *lines))) as peer:
        with pytest.raises(UpstreamError) as refused:
            await ask(transport, deployment(peer))
        with pytest.raises(ProviderKeyLimited) as own:
            await ask(transport, deployment(peer).keyed(OwnKey("theirs")))
    assert refused.value.quota == own.value.quota == Quota(tokens=Limit(limit=100, remaining=3))


async def test_google_says_it_in_the_body_also_of_a_tenants_key(transport: Transport) -> None:
    body = b'{"error":{"code":429,"status":"RESOURCE_EXHAUSTED","details":[{"retryDelay":"12.5s"}]}}'
    async with Peer(Server(refusal(429, body))) as peer:
        url = f"http://127.0.0.1:{peer.port}"
        provider = Provider(name="theirs", wire="gemini", base_urls=(url,), key=OPERATORS)
        target = Deployment(Target(provider=provider, model="gemini-x"), url, Load())
        asked = msgspec.structs.replace(ASK, route="gemini", body=b'{"contents":[]}')
        for each in (target, target.keyed(OwnKey("theirs"))):
            with pytest.raises(UpstreamError) as refused:
                await ModelClient(transport).attempt(each, asked)
            assert refused.value.retry_after == 12.5
