"""What proves each request: a signature of AWS over real sockets, and nothing of it in what is told on."""

import hashlib
from collections.abc import AsyncGenerator

import pytest

from inference.client import Ask, ModelClient
from inference.credentials import unspoken
from inference.deployment import Deployment
from inference.fleet.load import Load
from inference.ir.cards import AwsCredentials, Provider, Target
from inference.ir.errors import UpstreamAuth
from inference.request_keys import RequestKeys
from inference.transport import Transport
from inference.wire import Outgoing
from tests.aws_signature import headers_of, signature_fault
from tests.own_key import OWN_SECRET, OwnKey
from tests.scripted_peer import Asked, Peer, Talk

AWS = AwsCredentials(access_key="AKIDEXAMPLE", secret_key="canary/secret", session_token="canary-token")
ASK = Ask(
    route="chat",
    body=b"{}",
    model="m",
    stream=False,
    hints=False,
    options=None,
    request_id="req-1",
    translate=lambda deployment: Outgoing(
        path="/model/us.anthropic.claude-v2%3A1/converse", body=b'{"messages":[]}'
    ),
)
NOW = 1_763_700_000.0


@pytest.fixture
async def transport() -> AsyncGenerator[Transport]:
    made = Transport()
    yield made
    await made.close()


def provider(port: int, aws: AwsCredentials | None = AWS) -> Provider:
    return Provider(
        name="bedrock",
        wire="bedrock",
        base_urls=(f"http://127.0.0.1:{port}/vpc",),
        aws=aws,
        region="eu-west-1",
        key=None if aws else "bearer-key",
    )


def target(card: Provider) -> Deployment:
    return Deployment(Target(provider=card, model="m"), card.base_urls[0], Load())


async def test_each_request_is_signed_anew(transport: Transport) -> None:
    asked: list[Asked] = []

    async def script(talk: Talk) -> None:
        while True:
            asked.append(await talk.ask())
            await talk.say(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")

    clock = iter((NOW, NOW + 60))
    async with Peer(script) as peer:
        client = ModelClient(transport, RequestKeys(transport, lambda: next(clock)))
        for _ in range(2):
            answer = await client.attempt(target(provider(peer.port)), ASK)
            await answer.read(10)
            answer.release()
    first, second = asked
    assert signature_fault(first, AWS, region="eu-west-1") is None
    assert signature_fault(second, AWS, region="eu-west-1") is None
    assert headers_of(first)["authorization"] != headers_of(second)["authorization"]
    assert headers_of(first)["x-amz-security-token"] == "canary-token"
    assert first.line == "POST /vpc/model/us.anthropic.claude-v2%3A1/converse"
    other = AwsCredentials(access_key="AKIDEXAMPLE", secret_key="another", session_token="canary-token")
    assert signature_fault(first, other, region="eu-west-1") == "another signature"
    assert hashlib.sha256(first.body).hexdigest() == hashlib.sha256(b'{"messages":[]}').hexdigest()


async def test_a_refusal_tells_nothing_of_the_keys(transport: Transport) -> None:
    body = b'{"message":"The canonical string: canary\\/secret canary-token AKIDEXAMPLE"}'

    async def script(talk: Talk) -> None:
        await talk.ask()
        await talk.say(b"HTTP/1.1 403 Forbidden\r\ncontent-length: %d\r\n\r\n" % len(body) + body)

    async with Peer(script) as peer:
        card = provider(peer.port)
        with pytest.raises(UpstreamAuth) as refused:
            await ModelClient(transport, RequestKeys(transport, lambda: NOW)).attempt(target(card), ASK)
    assert "canary" not in refused.value.message
    assert unspoken(card, body) == b'{"message":"The canonical string: *** *** ***"}'
    assert "canary" not in repr(card)


async def test_a_plain_key_goes_unsigned(transport: Transport) -> None:
    asked: list[Asked] = []

    async def script(talk: Talk) -> None:
        while True:
            asked.append(await talk.ask())
            await talk.say(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")

    async with Peer(script) as peer:
        keys = RequestKeys(transport, lambda: NOW)
        theirs = target(provider(peer.port)).keyed(OwnKey("bedrock"))
        for deployment in (target(provider(peer.port, None)), theirs):
            answer = await ModelClient(transport, keys).attempt(deployment, ASK)
            await answer.read(10)
            answer.release()
    operators, tenants = map(headers_of, asked)
    assert operators["authorization"] == "Bearer bearer-key"
    assert tenants["authorization"] == f"Bearer {OWN_SECRET}"
    assert not {"x-amz-date"} & {*operators, *tenants}
