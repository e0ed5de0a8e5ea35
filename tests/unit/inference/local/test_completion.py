"""A completion's way into a response, with a scripted engine: order, usage, and the count when a client leaves."""

import asyncio
from collections.abc import Callable, MutableMapping
from typing import Any

import msgspec

from inference.local import answers
from inference.local.chat_model import Piece
from inference.local.completion import Completion
from inference.local.questions import ChatQuestion, decode
from inference.local.reply import Reply
from inference.local.slots import Slots

HEADING = answers.Heading(id="chatcmpl-1", created=1, model="m", fingerprint="f", chat=True)


def question(**fields: Any) -> ChatQuestion:
    body = {"model": "m", "messages": [{"role": "user", "content": "hi"}]} | fields
    return decode(msgspec.json.encode(body), ChatQuestion)


def two_choices(emit: Callable[[Piece], None], gone: Callable[[], bool]) -> None:
    for index in range(2):
        emit(Piece(index=index, text="a", tokens=1))
        emit(Piece(index=index, text="b", tokens=3, finish="stop"))


async def run(**fields: Any) -> tuple[list[Any], list[int]]:
    """The JSON that was sent, and what was counted."""
    sent: list[bytes] = []
    counted: list[int] = []

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message.get("body", b""))

    slots: Slots[Piece] = Slots("test", parallel=1, queue=1)
    completion = Completion(
        question(**fields),
        HEADING,
        prompt_tokens=5,
        on_first=lambda: counted.append(-1),
        on_end=counted.append,
    )
    await completion.answer(slots, two_choices, Reply(send))
    slots.close()
    events = b"".join(sent).removesuffix(answers.DONE).removesuffix(b"\n\n").split(b"\n\n")
    return [msgspec.json.decode(event.removeprefix(b"data: ")) for event in events], counted


async def test_whole() -> None:
    [body], counted = await run()
    assert [choice["message"]["content"] for choice in body["choices"]] == ["ab", "ab"]
    assert body["usage"] == {"prompt_tokens": 5, "completion_tokens": 6, "total_tokens": 11}
    assert counted == [-1, 6]


async def test_each_choice_is_opened_once_and_usage_comes_last() -> None:
    chunks, counted = await run(stream=True, stream_options={"include_usage": True})
    roles = [
        chunk["choices"][0]["index"]
        for chunk in chunks
        if chunk["choices"] and "role" in chunk["choices"][0]["delta"]
    ]
    assert roles == [0, 1]
    assert [bool(chunk.get("usage")) for chunk in chunks] == [False] * 6 + [True]
    assert counted == [-1, 6]


async def test_usage_so_far_in_every_chunk() -> None:
    chunks, _ = await run(stream=True, stream_options={"continuous_usage_stats": True})
    assert [chunk["usage"]["completion_tokens"] for chunk in chunks] == [1, 1, 3, 4, 4, 6]


async def test_what_was_made_is_counted_when_the_client_leaves() -> None:
    counted: list[int] = []

    def endless(emit: Callable[[Piece], None], gone: Callable[[], bool]) -> None:
        emit(Piece(index=0, text="a", tokens=7))
        while not gone():
            pass

    async def send(message: MutableMapping[str, Any]) -> None:
        if message.get("body"):
            await asyncio.sleep(60)

    slots: Slots[Piece] = Slots("test", parallel=1, queue=1)
    completion = Completion(
        question(stream=True), HEADING, prompt_tokens=5, on_first=lambda: None, on_end=counted.append
    )
    async with asyncio.TaskGroup() as group:
        task = group.create_task(completion.answer(slots, endless, Reply(send)))
        while slots.running == 0:
            await asyncio.sleep(0)
        await asyncio.sleep(0.05)
        task.cancel()
    assert counted == [7]
    async with asyncio.timeout(10):
        while slots.running:
            await asyncio.sleep(0.002)
    slots.close()
