"""Tokens of a service account: fetched once, renewed in time, and carried to Vertex."""

import asyncio
import json
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from inference.client import Ask, ModelClient
from inference.deployment import Deployment
from inference.fleet.load import Load
from inference.google_tokens import GoogleTokens
from inference.ir.cards import Provider, Target
from inference.ir.errors import UpstreamAuth
from inference.request_keys import RequestKeys
from inference.transport import Transport
from tests.scripted_peer import Peer, Talk

ASK = Ask(
    route="gemini",
    body=b'{"contents":[]}',
    model="m",
    stream=False,
    hints=False,
    options=None,
    request_id="req-1",
)


@pytest.fixture(scope="module")
def pem() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


@pytest.fixture
async def transport() -> AsyncGenerator[Transport]:
    made = Transport()
    yield made
    await made.close()


class Google:
    """Gives tokens at /token, answers everything else with what it is told to."""

    def __init__(self, status: int = 200) -> None:
        self.status = status
        self.tokens = 0
        self.given = 200
        self.asked: list[str] = []

    async def __call__(self, talk: Talk) -> None:
        while True:
            asked = await talk.ask()
            self.asked.append(asked.raw.decode())
            if asked.line == "POST /token":
                self.tokens += 1
                body = json.dumps({"access_token": f"ya29-{self.tokens}", "expires_in": 3600}).encode()
                await talk.say(said(self.given, body))
            else:
                await talk.say(said(self.status, b'{"candidates":[]}'))


def said(status: int, body: bytes) -> bytes:
    return b"HTTP/1.1 %d X\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (
        status,
        len(body),
        body,
    )


def account(peer: Peer, pem: str) -> str:
    return json.dumps(
        {
            "type": "service_account",
            "client_email": "a@p.iam",
            "private_key": pem,
            "private_key_id": "k1",
            "token_uri": f"http://127.0.0.1:{peer.port}/token",
        }
    )


class Clock:
    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


async def test_one_exchange_serves_all_until_it_is_nearly_over(transport: Transport, pem: str) -> None:
    google, clock = Google(), Clock()
    async with Peer(google) as peer:
        tokens, key = GoogleTokens(transport, clock), account(peer, pem)
        lines = await asyncio.gather(*(tokens.header(key) for _ in range(5)))
        assert set(lines) == {b"authorization: Bearer ya29-1\r\n"}
        clock.now += 3200
        assert await tokens.header(key) == b"authorization: Bearer ya29-1\r\n"
        clock.now += 200
        assert await tokens.header(key) == b"authorization: Bearer ya29-2\r\n"
        google.given = 500
        clock.now += 3400
        assert await tokens.header(key) == b"authorization: Bearer ya29-2\r\n"  # still good
        clock.now += 300
        with pytest.raises(UpstreamAuth, match="status 500"):
            await tokens.header(key)


async def test_a_key_file_is_read_from_its_path(transport: Transport, pem: str, tmp_path: Path) -> None:
    async with Peer(Google()) as peer:
        (tmp_path / "key.json").write_text(account(peer, pem))
        tokens = GoogleTokens(transport, Clock())
        assert await tokens.header(str(tmp_path / "key.json")) == b"authorization: Bearer ya29-1\r\n"
        with pytest.raises(UpstreamAuth, match="No such file"):
            await tokens.header(str(tmp_path / "nothing.json"))


async def test_calls_to_vertex_carry_it_and_a_refused_one_is_renewed(transport: Transport, pem: str) -> None:
    google = Google()
    async with Peer(google) as peer:
        url = f"http://127.0.0.1:{peer.port}/v1/projects/p/locations/l"
        provider = Provider(
            name="vertex", wire="vertex", base_urls=(url,), service_account=account(peer, pem)
        )
        target = Deployment(Target(provider=provider, model="gemini-there"), url, Load())
        client = ModelClient(transport, RequestKeys(transport, Clock()))
        answer = await client.attempt(target, ASK)
        await answer.read(1000)
        answer.release()
        google.status = 401
        with pytest.raises(UpstreamAuth):
            await client.attempt(target, ASK)
        with pytest.raises(UpstreamAuth):
            await client.attempt(target, ASK)
    calls = [raw for raw in google.asked if not raw.startswith("POST /token")]
    place = "/v1/projects/p/locations/l/publishers/google/models/gemini-there:generateContent"
    assert calls[0].startswith(f"POST {place} HTTP/1.1\r\n")
    assert "authorization: Bearer ya29-1\r\n" in calls[0]
    assert "authorization: Bearer ya29-2\r\n" in calls[2]
    assert pem.splitlines()[1] not in "".join(calls)
