"""Any answer that an official SDK has types for: it is read, and told to a client of every dialect, words and calls."""

import json
from typing import Any

import pytest
from anthropic.types.beta import BetaMessage
from google.genai.types import Candidate
from hypothesis import HealthCheck, Phase, given, reject, settings
from hypothesis import strategies as st
from openai.types.chat import ChatCompletion
from openai.types.responses import ResponseOutputItem

from gateway.dialects.dialect import Setting
from inference.ir.chat import ChatRequest
from inference.ir.completion import Completion
from inference.ir.content import Part, Refusal, Text, ToolCall
from inference.ir.errors import UpstreamFailed
from inference.ir.events import Event
from inference.ir.folding import fold, unfold
from inference.wire import ChatFormat
from tests.golden.sdk_shapes import answers
from tests.golden.test_pairs import SIDES

SETTING = Setting(id="req-00000000000000ab00000001", model="m", created=1_700_000_000, include_usage=True)
RESPONSE = {"id": "resp_1", "object": "response", "created_at": 1, "status": "completed", "model": "m"}


def present(made: dict[str, Any]) -> dict[str, Any]:
    """Without the nulls: there is always a reason to stop."""
    return {name: value for name, value in made.items() if value is not None}


def numbered(made: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Several answers, each with its own number."""
    return [{**each, "index": at} for at, each in enumerate(made)]


def silent(choice: dict[str, Any]) -> dict[str, Any]:
    """Without sound, whose transcript is words to some and nothing to others."""
    return {**choice, "message": {**choice["message"], "audio": None}}


ANSWERS: dict[str, st.SearchStrategy[Any]] = {
    "openai-chat": answers(ChatCompletion)
    .filter(lambda made: made["choices"])
    .map(lambda made: {**made, "choices": numbered([silent(each) for each in made["choices"]])}),
    "openai-responses": st.lists(answers(ResponseOutputItem), max_size=4).map(
        lambda items: {**RESPONSE, "output": items}
    ),
    "anthropic": answers(BetaMessage, type="message", role="assistant").map(
        lambda made: {**made, "stop_reason": made.get("stop_reason") or "end_turn"}
    ),
    "gemini": st.lists(answers(Candidate), min_size=1, max_size=2).map(
        lambda made: {"candidates": numbered([{"finishReason": "STOP", **present(each)} for each in made])}
    ),
}
SOME = settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=(HealthCheck.too_slow, HealthCheck.data_too_large),
    phases=[Phase.generate],
)


def parts(completion: Completion) -> tuple[Part, ...]:
    return completion.choices[0].parts if completion.choices else ()


def said(completion: Completion) -> tuple[list[str], list[tuple[str, Any]]]:
    """Letters and calls of the first choice; a call without arguments has an empty object of them.

    Letters, not words: a refusal stands between texts in some dialects, and in a field of its own in others.
    """
    words = sorted(
        letter for part in parts(completion) if isinstance(part, Text | Refusal) for letter in part.text
    )
    calls = [part for part in parts(completion) if isinstance(part, ToolCall)]
    return words, [(part.name, given_to(part)) for part in calls]


def given_to(call: ToolCall) -> Any:
    """A call's arguments. A custom tool's text is the one argument of a function, where there are only those."""
    found = json.loads(call.arguments or "{}")
    match found:
        case {"input": str(text)}:
            return json.loads(text)
        case _:
            return found


def streamed(own: ChatFormat, stream: bytes) -> list[Event]:
    parser = own.stream()
    found = list(parser.feed(stream))
    return found if parser.complete else [*found, *parser.finish()]


@pytest.mark.parametrize("side", SIDES)
def test_it_is_heard_by_everybody(side: str) -> None:
    own = SIDES[side][2]

    @SOME
    @given(ANSWERS[side])
    def told(answer: dict[str, Any]) -> None:
        try:
            completion = own.completion(json.dumps(answer).encode())
        except UpstreamFailed:
            reject()  # one that its provider calls failed is an error, and told as such
        for family, dialect, theirs in SIDES.values():
            asked = ChatRequest(model="m", messages=(), family=family)
            whole = theirs.completion(dialect.answer(completion, asked, SETTING).body)
            writer = dialect.writer(asked, SETTING)
            stream = b"".join([writer.write([each]) for each in unfold(completion)]) + writer.finish()
            again = fold(streamed(theirs, stream))
            assert said(whole) == said(again) == said(completion), family

    told()
