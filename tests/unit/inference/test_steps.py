"""Answers that are come back for: the way to them, its end, and who gives it up."""

import asyncio
from typing import Any

import pytest

from inference.ir.errors import UpstreamTimeout, UpstreamUnreachable
from inference.steps import follow
from inference.transport import Reply
from inference.wire import Outgoing, Step


class Said(Reply):
    """A reply that is whole."""

    def __init__(self, body: bytes, status: int = 200) -> None:
        self.status = status
        self.body = body
        self.aborted = False

    async def read(self, limit: int) -> bytes:
        return self.body

    def abort(self) -> None:
        self.aborted = True


class Way:
    """Asks for what it is told to: `done` ends the way."""

    def __init__(self) -> None:
        self.taken = False

    def after(self, body: bytes) -> Step:
        self.taken = True
        return Step(ask=Outgoing(path="/" + body.decode(), body=b"", method="GET"), done=body == b"done")

    def abandon(self) -> Outgoing | None:
        return Outgoing(path="/cancel", body=b"", method="PUT") if self.taken else None


class Provider:
    """Answers in order; the last answer for ever."""

    def __init__(self, *answers: Reply | Exception) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    async def send(self, ask: Outgoing) -> Reply:
        self.asked.append(ask.path)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


async def test_the_answer_is_what_comes_when_all_is_done() -> None:
    final = Said(b"picture")
    provider = Provider(Said(b"wait", 202), Said(b"done"), final)
    assert await follow(Way(), Said(b"wait"), provider.send, total=10) is final
    assert provider.asked == ["/wait", "/wait", "/done"]


@pytest.mark.parametrize("status", [401, 422, 500])
async def test_a_refusal_on_the_way_is_the_answer(status: int) -> None:
    refused = Said(b"no", status)
    assert await follow(Way(), refused, Provider(Said(b"")).send, total=10) is refused
    assert await follow(Way(), Said(b"wait"), Provider(refused).send, total=10) is refused


async def test_it_ends_with_the_total_time_out_and_is_given_up() -> None:
    provider = Provider(Said(b"wait"))
    with pytest.raises(UpstreamTimeout) as late:
        await follow(Way(), Said(b"wait"), provider.send, total=0.3)
    assert late.value.code == "upstream_timeout_total"
    assert provider.asked[-1] == "/cancel"


async def test_a_client_that_leaves_gives_it_up() -> None:
    provider = Provider(Said(b"wait"))
    async with asyncio.TaskGroup() as group:
        task: asyncio.Task[Any] = group.create_task(follow(Way(), Said(b"wait"), provider.send, total=10))
        await asyncio.sleep(0.3)
        task.cancel()
    assert task.cancelled()
    assert provider.asked[-1] == "/cancel"


async def test_a_provider_that_is_lost_stays_lost_where_giving_up_fails_too() -> None:
    provider = Provider(UpstreamUnreachable("gone"))
    with pytest.raises(UpstreamUnreachable):
        await follow(Way(), Said(b"wait"), provider.send, total=10)
    assert provider.asked == ["/wait", "/cancel"]
