"""The test of a key on entry: one real call, what it proves, and what is said where nobody could say."""

from collections.abc import AsyncGenerator

import msgspec
import pytest

from inference.ir.cards import Provider, Timeouts
from inference.ir.errors import ProviderKeyRefused, ProviderKeyUnpaid, UpstreamError, UpstreamFailed
from inference.key_check import KeyCheck
from inference.transport import Transport
from loadtests import upstream
from tests.harness import free_port
from tests.own_key import OWN_SECRET
from tests.scripted_peer import Asked, Peer, Talk


@pytest.fixture
async def check() -> AsyncGenerator[KeyCheck]:
    transport = Transport()
    yield KeyCheck(transport, Timeouts(connect=2, first_byte=1, idle=1, total=3))
    await transport.close()


def provider(*base_urls: str, wire: str = "openai") -> Provider:
    headers = (("x-account", "operators"), ("x-version", "1"))
    return Provider(
        name="theirs",
        wire=wire,
        base_urls=base_urls,
        key="sk-operators",
        headers=headers,
        account_headers=frozenset({"x-account"}),
    )


def said(status: int, body: bytes = b"{}") -> bytes:
    return b"HTTP/1.1 %d X\r\ncontent-length: %d\r\n\r\n%b" % (status, len(body), body)


class Judge:
    """Answers with a key as told, and without one as told."""

    def __init__(self, keyed: bytes, bare: bytes = said(401)) -> None:
        self.keyed, self.bare = keyed, bare
        self.asked: list[Asked] = []

    async def __call__(self, talk: Talk) -> None:
        while True:
            asked = await talk.ask()
            self.asked.append(asked)
            await talk.say(self.keyed if b"authorization" in asked.raw else self.bare)


@pytest.mark.parametrize("wire", ["openai", "vllm"])
async def test_a_good_key_is_proven_by_a_real_call(check: KeyCheck, wire: str) -> None:
    server = await upstream.start(key=OWN_SECRET)
    base = server.base_url if wire == "openai" else server.origin
    try:
        assert (await check.ask(provider(base, wire=wire), OWN_SECRET)).proven
        keyed, bare = server.exchanges
    finally:
        await server.close()
    assert (keyed.method, keyed.target, keyed.header("authorization")) == (
        "GET",
        "/v1/models",
        f"Bearer {OWN_SECRET}",
    )
    assert bare.header("authorization") is None
    for asked in (keyed, bare):
        assert asked.header("x-account") is None
        assert asked.header("x-version") == "1"


async def test_a_version_the_format_wants_is_said_here_too(check: KeyCheck) -> None:
    server = Judge(said(200), said(200))
    async with Peer(server) as peer:
        await check.ask(provider(f"http://127.0.0.1:{peer.port}", wire="anthropic"), OWN_SECRET)
    assert b"anthropic-version: 2023-06-01\r\n" in server.asked[0].raw
    assert f"x-api-key: {OWN_SECRET}\r\n".encode() in server.asked[0].raw


async def test_the_catalogue_may_say_what_to_ask(check: KeyCheck) -> None:
    judge = Judge(said(200))
    async with Peer(judge) as peer:
        card = msgspec.structs.replace(provider(f"http://127.0.0.1:{peer.port}/v1/"), key_check="/key")
        assert (await check.ask(card, OWN_SECRET)).proven
    assert [asked.line for asked in judge.asked] == ["GET /v1/key", "GET /v1/key"]


async def test_a_wrong_key_is_refused_with_the_providers_reason(check: KeyCheck) -> None:
    server = await upstream.start(key="sk-right")
    try:
        with pytest.raises(ProviderKeyRefused, match="Incorrect API key provided") as refused:
            await check.ask(provider(server.base_url), OWN_SECRET)
    finally:
        await server.close()
    assert OWN_SECRET not in refused.value.message


async def test_the_reason_is_short_and_holds_no_secret(check: KeyCheck) -> None:
    words = b"\\n".join([b"no: sk-tenant-canary-93b7\\/e1\\u0022f0 " * 20])
    body = b'{"error":{"message":"' + words.replace(b"\\u0022", b'\\"') + b'"}}'
    async with Peer(Judge(said(401, body))) as peer:
        with pytest.raises(ProviderKeyRefused) as refused:
            await check.ask(provider(f"http://127.0.0.1:{peer.port}"), OWN_SECRET)
    assert "canary" not in refused.value.message
    assert "no: ***" in refused.value.message
    assert len(refused.value.message) < 800


async def test_an_account_that_cannot_pay_is_refused(check: KeyCheck) -> None:
    async with Peer(Judge(said(402))) as peer:
        with pytest.raises(ProviderKeyUnpaid):
            await check.ask(provider(f"http://127.0.0.1:{peer.port}"), OWN_SECRET)


@pytest.mark.parametrize(
    ("keyed", "bare"), [(said(200), said(200)), (said(404), said(404)), (said(200), said(500))]
)
async def test_a_server_that_would_take_any_key_proves_nothing(
    check: KeyCheck, keyed: bytes, bare: bytes
) -> None:
    async with Peer(Judge(keyed, bare)) as peer:
        assert not (await check.ask(provider(f"http://127.0.0.1:{peer.port}"), OWN_SECRET)).proven


@pytest.mark.parametrize(("status", "ours"), [(500, 502), (503, 503), (429, 503), (302, 502)])
async def test_an_answer_that_is_not_about_the_key(check: KeyCheck, status: int, ours: int) -> None:
    async with Peer(Judge(said(status))) as peer:
        with pytest.raises(UpstreamFailed, match="says nothing of the key") as failed:
            await check.ask(provider(f"http://127.0.0.1:{peer.port}"), OWN_SECRET)
    assert failed.value.http_status == ours


async def test_nobody_there(check: KeyCheck) -> None:
    with pytest.raises(UpstreamError, match="the key was not tested") as failed:
        await check.ask(provider(f"http://127.0.0.1:{free_port()}"), OWN_SECRET)
    assert failed.value.http_status == 502
    assert "127.0.0.1" not in failed.value.message


async def test_of_several_addresses_the_first_that_answers(check: KeyCheck) -> None:
    judge = Judge(said(200))
    async with Peer(judge) as peer:
        found = await check.ask(
            provider(f"http://127.0.0.1:{free_port()}", f"http://127.0.0.1:{peer.port}"), OWN_SECRET
        )
    assert found.proven


async def test_a_server_that_never_answers(check: KeyCheck) -> None:
    async def silent(talk: Talk) -> None:
        await talk.gone()

    async with Peer(silent) as peer:
        with pytest.raises(UpstreamError, match="not tested"):
            await check.ask(provider(f"http://127.0.0.1:{peer.port}"), OWN_SECRET)


async def test_a_redirect_is_not_followed(check: KeyCheck) -> None:
    async with Peer(Judge(said(200))) as other:
        there = (
            b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:%d/\r\ncontent-length: 0\r\n\r\n" % other.port
        )
        async with Peer(Judge(there)) as peer:
            with pytest.raises(UpstreamFailed):
                await check.ask(provider(f"http://127.0.0.1:{peer.port}"), OWN_SECRET)
        assert other.accepted == 0
