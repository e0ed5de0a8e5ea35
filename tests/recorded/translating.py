"""Translating: a recorded answer told to a client of every other dialect, and read back as that client would.

Text, thoughts, names and arguments of tools, the reason to stop and the counts have to survive; what a dialect has
no words for has to be named as dropped.
"""

import json
from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from gateway.dialects.dialect import Setting
from inference.ir.chat import ChatRequest
from inference.ir.completion import Choice, Completion, Finish
from inference.ir.content import Audio, Family, Image, Opaque, Reasoning, Refusal, Text, ToolCall
from inference.ir.events import Event
from inference.ir.folding import fold
from tests.golden.test_pairs import SIDES

CLIENTS = {family: (dialect, own) for family, dialect, own in SIDES.values()}
SETTING = Setting(id="req-00000000000000ab00000001", model="m", created=1_700_000_000, include_usage=True)
SEVERAL = (Family.OPENAI_CHAT, Family.GEMINI)
"""Whose answers may hold several choices; the others are told the first."""


class Back(Struct, frozen=True):
    """An answer as it came back, and what was said to be lost."""

    completion: Completion
    dropped: Sequence[str]


def told_whole(completion: Completion, client: Family) -> Back:
    """Written as a whole answer for a client, and read by its own wire format."""
    dialect, own = CLIENTS[client]
    rendered = dialect.answer(completion, _asked(client), SETTING)
    return Back(own.completion(rendered.body), rendered.dropped)


def told_streamed(events: Sequence[Event], client: Family) -> Back:
    """The same for a stream, event by event."""
    dialect, own = CLIENTS[client]
    writer, parser = dialect.writer(_asked(client), SETTING), own.stream()
    stream = b"".join([writer.write([event]) for event in events]) + writer.finish()
    again = list(parser.feed(stream))
    if not parser.complete:
        again += parser.finish()
    return Back(fold(again), writer.dropped)


def _asked(client: Family) -> ChatRequest:
    return ChatRequest(model="m", messages=(), family=client)


def survives(said: Completion, back: Back, client: Family) -> None:
    """Raises AssertionError for what was lost without a word."""
    choices = said.choices if client in SEVERAL else said.choices[:1]
    heard = back.completion.choices
    assert len(heard) == len(choices)
    assert len(choices) == len(said.choices) or back.dropped
    for ours, theirs in zip(choices, heard, strict=True):
        assert _texts(theirs) == _texts(ours)
        assert _thoughts(theirs) == _thoughts(ours)
        assert _calls(theirs) == _calls(ours)
        assert theirs.finish is expected_finish(ours, client)
        if _has(ours, Opaque) and not _has(theirs, Opaque):
            assert back.dropped, "a hosted tool's part"
        if _media(ours) != _media(theirs):
            assert back.dropped, "a picture or sound"
    assert _counts(back.completion) == _counts(said)


def expected_finish(choice: Choice, client: Family) -> Finish | None:
    """The reason as the client's dialect can say it."""
    return FINISHES.get(client, {}).get(choice.finish, choice.finish)


FINISHES: dict[Family, dict[Finish | None, Finish | None]] = {
    Family.ANTHROPIC: {Finish.FILTER: Finish.REFUSAL},
    Family.GEMINI: {None: Finish.STOP},
}
"""Where a dialect has no such word, the one nearest to it. Answers without a reason are of responses that
are only queued."""


def _texts(choice: Choice) -> str:
    return "".join(part.text for part in choice.parts if isinstance(part, Text | Refusal))


def _thoughts(choice: Choice) -> str:
    said = [part for part in choice.parts if isinstance(part, Reasoning)]
    return "".join(part.text or "".join(part.summaries) for part in said).replace("\n", "")


def _calls(choice: Choice) -> list[tuple[str, Any]]:
    return [(part.name, _arguments(part.arguments)) for part in choice.parts if isinstance(part, ToolCall)]


def _arguments(text: str) -> Any:
    try:
        return json.loads(text or "{}")
    except ValueError:
        return text


def _has(choice: Choice, kind: type[Any]) -> bool:
    return any(isinstance(part, kind) for part in choice.parts)


def _media(choice: Choice) -> int:
    return sum(isinstance(part, Image | Audio) for part in choice.parts)


def _counts(completion: Completion) -> tuple[int, int, int]:
    usage = completion.usage
    return usage.input_tokens, usage.output_tokens, usage.cache_read_tokens
