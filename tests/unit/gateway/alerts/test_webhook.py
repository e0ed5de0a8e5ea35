"""Webhooks over real sockets: signed, never redirected, never into a network that is not the sender's to enter."""

import asyncio
from collections.abc import AsyncGenerator, Sequence

import pytest

from gateway.alerts.delivery import DeliveryError
from gateway.alerts.signature import HEADER, verify
from gateway.alerts.webhook import WebhookChannel, is_public, resolve, webhook_url
from inference.ir.cards import Timeouts
from inference.ir.errors import InvalidField
from inference.transport import Transport
from tests.budget_figures import NOW, parcel, sent
from tests.scripted_peer import Asked, Peer, Talk

_OK = b"HTTP/1.1 204 No Content\r\n\r\n"


@pytest.fixture
async def transport() -> AsyncGenerator[Transport]:
    made = Transport()
    yield made
    await made.close()


async def _secrets(org_id: str) -> Sequence[str]:
    assert org_id == "org_a"
    return ["whsec_new", "whsec_old"]


def _channel(transport: Transport, *, private: bool = False, total: float = 20.0) -> WebhookChannel:
    timeouts = Timeouts(connect=total, first_byte=total, idle=total, total=total)
    return WebhookChannel(transport, _secrets, private=private, clock=lambda: NOW, timeouts=timeouts)


def _fields(asked: Asked) -> dict[str, str]:
    lines = asked.raw.split(b"\r\n\r\n")[0].decode().split("\r\n")[1:]
    return dict(line.split(": ", 1) for line in lines)


async def test_a_signed_post_with_the_event(transport: Transport) -> None:
    asked: list[Asked] = []

    async def answer(talk: Talk) -> None:
        asked.append(await talk.ask())
        await talk.say(_OK)

    async with Peer(answer) as peer:
        alert = parcel(f"http://127.0.0.1:{peer.port}/hook?token=t", attempts=3)
        await _channel(transport).deliver(alert)
    (one,) = asked
    assert one.line == "POST /hook?token=t"
    assert sent(one.body) == alert.event
    fields = _fields(one)
    assert fields["content-type"] == "application/json"
    assert (fields["aspendos-event"], fields["aspendos-attempt"]) == ("evt_1", "3")
    assert fields["host"] == f"127.0.0.1:{peer.port}"
    for secret in ("whsec_new", "whsec_old"):
        assert verify(fields[HEADER], one.body, secret, now=NOW)
    assert not verify(fields[HEADER], one.body, "whsec_other", now=NOW)


@pytest.mark.parametrize(
    ("status", "final"), [(500, False), (404, False), (429, False), (302, False), (410, True)]
)
async def test_other_answers_are_failures(transport: Transport, status: int, final: bool) -> None:
    asked: list[Asked] = []

    async def answer(talk: Talk) -> None:
        asked.append(await talk.ask())
        where = f"http://127.0.0.1:{peer.port}/elsewhere"
        await talk.say(f"HTTP/1.1 {status} No\r\nlocation: {where}\r\ncontent-length: 0\r\n\r\n".encode())

    async with Peer(answer) as peer:
        with pytest.raises(DeliveryError, match=f"answered {status}") as caught:
            await _channel(transport).deliver(parcel(f"http://127.0.0.1:{peer.port}/secret-path"))
    assert caught.value.final is final
    assert "secret-path" not in caught.value.message
    assert [one.line for one in asked] == ["POST /secret-path"], "a redirect is not followed"


async def test_a_receiver_that_hangs_is_left(transport: Transport) -> None:
    async def hang(talk: Talk) -> None:
        await talk.ask()
        await talk.gone()

    async with Peer(hang) as peer:
        with pytest.raises(DeliveryError, match="upstream_timeout") as caught:
            await _channel(transport, total=0.2).deliver(parcel(f"http://127.0.0.1:{peer.port}/"))
    assert not caught.value.final


async def test_a_receiver_that_is_not_there_is_tried_later(transport: Transport) -> None:
    async with Peer(lambda talk: asyncio.sleep(0)) as peer:
        port = peer.port
    with pytest.raises(DeliveryError) as caught:
        await _channel(transport).deliver(parcel(f"http://127.0.0.1:{port}/"))
    assert not caught.value.final


async def test_users_addresses_may_not_be_private(transport: Transport) -> None:
    async def answer(talk: Talk) -> None:
        await talk.ask()
        await talk.say(_OK)

    async with Peer(answer) as peer:
        for host in ("127.0.0.1", "localhost", "[::1]", "2130706433"):
            alert = parcel(f"http://{host}:{peer.port}/", trusted=False)
            with pytest.raises(DeliveryError) as caught:
                await _channel(transport).deliver(alert)
            assert caught.value.final
        assert peer.accepted == 0
        await _channel(transport, private=True).deliver(
            parcel(f"http://127.0.0.1:{peer.port}/", trusted=False)
        )
        assert peer.accepted == 1


async def test_one_private_address_among_public_ones_is_enough_to_refuse(transport: Transport) -> None:
    async def mixed(host: str, port: int) -> Sequence[str]:
        return ["93.184.216.34", "10.0.0.1"]

    channel = WebhookChannel(transport, _secrets, resolve=mixed)
    with pytest.raises(DeliveryError, match="private network"):
        await channel.deliver(parcel("https://example.com/", trusted=False))


async def test_plain_http_goes_to_the_address_that_was_checked(transport: Transport) -> None:
    """The name says another address a moment later; the peer on loopback must see nothing of it."""
    asked: list[str] = []

    async def once(host: str, port: int) -> Sequence[str]:
        asked.append(host)
        return ["192.0.0.9"] if len(asked) == 1 else ["127.0.0.1"]

    async with Peer(lambda talk: asyncio.sleep(0)) as peer:
        timeouts = Timeouts(connect=0.2, first_byte=0.2, idle=0.2, total=0.2)
        channel = WebhookChannel(transport, _secrets, resolve=once, timeouts=timeouts)
        with pytest.raises(DeliveryError):
            await channel.deliver(parcel(f"http://localhost:{peer.port}/", trusted=False))
        assert peer.accepted == 0
    assert asked == ["localhost"]


async def test_a_name_that_does_not_resolve_is_tried_later(transport: Transport) -> None:
    async def away(host: str, port: int) -> Sequence[str]:
        raise OSError("no such host")

    with pytest.raises(DeliveryError, match="resolved") as caught:
        await WebhookChannel(transport, _secrets, resolve=away).deliver(
            parcel("https://nowhere.invalid/", trusted=False)
        )
    assert not caught.value.final


async def test_the_systems_resolver() -> None:
    assert "127.0.0.1" in await resolve("127.0.0.1", 80)


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1::1", True),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("192.168.0.1", False),
        ("172.16.0.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("::1", False),
        ("fe80::1%eth0", False),
        ("fd00::1", False),
        ("::ffff:127.0.0.1", False),
        ("::ffff:8.8.8.8", True),
        ("64:ff9b::7f00:1", False),
        ("2002:7f00:1::", False),
        ("ff0e::1", False),
    ],
)
def test_which_addresses_are_public(address: str, public: bool) -> None:
    assert is_public(address) is public


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.com/hook",
        "ftp://example.com/",
        "file:///etc/passwd",
        "https://",
        "https://user:secret@example.com/",
        "https://example.com/#part",
        "https://example.com:99999/",
        "https://example.com:0/",
        "https://example.com/\r\nx-evil: 1",
        "https://example.com/a b",
        "https://exämple.com/",
        "https://[::1/",
        "https://example.com/" + "a" * 2048,
    ],
)
def test_what_is_no_webhook(url: str) -> None:
    with pytest.raises(InvalidField) as caught:
        webhook_url(url)
    assert "secret" not in caught.value.message


def test_a_webhook() -> None:
    assert webhook_url("https://example.com:8443/a?b=c") == "https://example.com:8443/a?b=c"
