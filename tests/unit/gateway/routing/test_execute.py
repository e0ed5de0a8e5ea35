"""Carrying out a plan: what moves on to the next target and what does not."""

from collections.abc import Sequence

import pytest

from gateway.call import Call
from gateway.routing.execute import execute
from inference.client import Answer, Ask, ModelClient
from inference.deployment import Deployment
from inference.ir.errors import (
    AspendosError,
    ProviderKeyLimited,
    ProviderKeyRefused,
    ProviderKeyUnreadable,
    UpstreamFailed,
    UpstreamRateLimited,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from inference.transport import Transport
from tests.fake_answer import FakeReply, deployment
from tests.fake_edge import FakeEdge
from tests.own_key import OwnKey

ASK = Ask(route="chat", body=b"{}", model="m", stream=False, hints=False, options=None, request_id="r")


class Scripted(ModelClient):
    """Fails as written down, in turn; answers once that is used up."""

    def __init__(self, *failures: AspendosError) -> None:
        super().__init__(Transport())
        self._failures = list(failures)
        self.tried: list[Deployment] = []

    async def attempt(self, deployment: Deployment, ask: Ask) -> Answer:
        self.tried.append(deployment)
        if self._failures:
            raise self._failures.pop(0)
        return Answer(deployment, FakeReply(), deployment.lanes["chat"])


async def carried(client: Scripted, attempts: Sequence[Deployment]) -> tuple[Answer, Call]:
    call = Call("r", "chat", FakeEdge())
    return await execute(client, attempts, ASK, call), call


@pytest.mark.parametrize(
    "failure",
    [UpstreamUnreachable("no"), UpstreamTimeout("no", code="upstream_timeout_connect")],
    ids=["unreachable", "connect"],
)
async def test_who_cannot_be_reached_is_followed_by_the_next(failure: AspendosError) -> None:
    first, second = deployment(), deployment()
    answer, call = await carried(Scripted(failure), [first, second])
    assert answer.deployment is second
    assert call.deployment is second
    assert call.attempts == 2
    assert [attempt.code for attempt in call.failures] == [failure.code]


@pytest.mark.parametrize(
    "failure",
    [UpstreamFailed("no"), UpstreamRateLimited("no"), UpstreamTimeout("no", code="upstream_timeout_total")],
    ids=["failed", "limited", "total"],
)
async def test_an_answer_is_an_answer(failure: AspendosError) -> None:
    client = Scripted(failure)
    with pytest.raises(type(failure)):
        await carried(client, [deployment(), deployment()])
    assert len(client.tried) == 1


@pytest.mark.parametrize(
    "failure",
    [ProviderKeyRefused("no"), ProviderKeyLimited("no"), ProviderKeyUnreadable("no")],
    ids=["refused", "limited", "unreadable"],
)
async def test_a_key_of_no_use_is_not_tried_at_the_next_address(failure: AspendosError) -> None:
    key = OwnKey("fake", fallback=True)
    plain = deployment()
    client = Scripted(failure)
    answer, call = await carried(client, [plain.keyed(key), plain.keyed(key), plain])
    assert answer.deployment is plain
    assert [tried.credential for tried in client.tried] == [key, None]
    assert call.attempts == 2
    with pytest.raises(type(failure)):
        await carried(Scripted(failure), [plain.keyed(key), plain.keyed(key)])
