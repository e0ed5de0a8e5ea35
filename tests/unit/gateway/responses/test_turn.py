"""Turns: what came before is found and put before the input, and the answer kept unless it must not be."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from gateway.database.engine import Database
from gateway.dialects.dialect import Thread
from gateway.responses.shelf import Shelf, owner_of
from gateway.responses.turn import Threads
from inference.ir.errors import InvalidField
from policies.api_keys import Principal

ADA = Principal(key_id="k", key_name="k", team_id="t1", team_name="t", user_id="ada")
ANSWER = b'{"id":"up","status":"completed","output":[{"type":"message","id":"msg_1","role":"assistant","content":[]}]}'


@pytest.fixture
def shelf(database: Database) -> Shelf:
    return Shelf(database, lifetime=timedelta(days=30), now=lambda: datetime.now(UTC))


@pytest.fixture
def threads(shelf: Shelf) -> Threads:
    return Threads(shelf, largest=2000)


def asking(text: str, previous: str | None = None) -> bytes:
    body = {"model": "m", "input": text} | ({"previous_response_id": previous} if previous else {})
    return json.dumps(body).encode()


async def test_a_first_turn_goes_as_it_came_and_is_kept(threads: Threads, shelf: Shelf) -> None:
    turn, body = await threads.begin("req-01-a", ADA, asking("hi"), Thread())
    assert body == asking("hi")
    told = json.loads(turn.whole(ANSWER))
    assert (told["id"], told["store"], told["previous_response_id"]) == ("resp_01a", True, None)
    found = await shelf.find(owner_of(ADA), "resp_01a")
    assert found is not None
    assert json.loads(found.response) == told


async def test_the_next_has_what_came_before(threads: Threads) -> None:
    first, _ = await threads.begin("req-1", ADA, asking("one"), Thread())
    first.whole(ANSWER)
    thread = Thread(previous="resp_1")
    second, body = await threads.begin("req-2", ADA, asking("two", "resp_1"), thread)
    sent = json.loads(body)
    assert "previous_response_id" not in sent
    assert [item["role"] for item in sent["input"]] == ["user", "assistant", "user"]
    assert json.loads(second.whole(ANSWER))["previous_response_id"] == "resp_1"
    _, body = await threads.begin("req-3", ADA, asking("three", "resp_2"), Thread(previous="resp_2"))
    texts = [item["content"] for item in json.loads(body)["input"] if item["role"] == "user"]
    assert texts == ["one", "two", "three"]


async def test_half_of_a_character_is_kept_as_a_sign_of_it(threads: Threads) -> None:
    said = [{"type": "message", "id": "m", "role": "assistant", "content": "a\ud83d b"}]
    turn, _ = await threads.begin("req-1", ADA, asking("one"), Thread())
    told = turn.whole(json.dumps({"id": "up", "status": "completed", "output": said}).encode())
    assert json.loads(told)["output"][0]["content"] == "a\ufffd b"


@pytest.mark.parametrize(
    ("thread", "answer"),
    [
        (Thread(keep=False), ANSWER),
        (Thread(), ANSWER.replace(b"completed", b"failed")),
        (Thread(), b'{"id":"x"}'),
    ],
)
async def test_what_is_not_kept(threads: Threads, shelf: Shelf, thread: Thread, answer: bytes) -> None:
    turn, _ = await threads.begin("req-1", ADA, asking("hi"), thread)
    assert json.loads(turn.whole(answer))["store"] is thread.keep
    assert await shelf.find(owner_of(ADA), "resp_1") is None


async def test_nothing_is_kept_where_the_operator_wants_nothing_kept(database: Database) -> None:
    shelf = Shelf(database, lifetime=timedelta(0), now=lambda: datetime.now(UTC))
    turn, _ = await Threads(shelf, largest=99).begin("req-1", ADA, asking("hi"), Thread())
    assert json.loads(turn.whole(ANSWER))["store"] is False
    assert await shelf.find(owner_of(ADA), "resp_1") is None


async def test_one_that_is_not_there(threads: Threads, shelf: Shelf) -> None:
    with pytest.raises(InvalidField, match="resp_none") as refused:
        await threads.begin("req-1", ADA, asking("hi", "resp_none"), Thread(previous="resp_none"))
    assert (refused.value.code, refused.value.param) == (
        "previous_response_not_found",
        "previous_response_id",
    )


async def test_one_whose_beginning_is_gone(threads: Threads, shelf: Shelf) -> None:
    first, _ = await threads.begin("req-1", ADA, asking("one"), Thread())
    first.whole(ANSWER)
    second, _ = await threads.begin("req-2", ADA, asking("two", "resp_1"), Thread(previous="resp_1"))
    second.whole(ANSWER)
    await shelf.delete(owner_of(ADA), "resp_1")
    with pytest.raises(InvalidField, match="resp_2"):
        await threads.begin("req-3", ADA, asking("three", "resp_2"), Thread(previous="resp_2"))


async def test_a_conversation_may_not_grow_beyond_what_a_request_may_hold(threads: Threads) -> None:
    first, _ = await threads.begin("req-1", ADA, asking("x" * 1900), Thread())
    first.whole(ANSWER)
    with pytest.raises(InvalidField) as refused:
        await threads.begin("req-2", ADA, asking("y", "resp_1"), Thread(previous="resp_1"))
    assert refused.value.code == "context_length_exceeded"
