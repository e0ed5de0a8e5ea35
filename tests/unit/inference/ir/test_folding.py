"""An answer taken apart and put together is the same answer."""

import pytest
from msgspec import Raw

from inference.ir.completion import Choice, Completion, Finish
from inference.ir.content import (
    Audio,
    Citation,
    Family,
    Image,
    Opaque,
    Reasoning,
    Refusal,
    Source,
    Text,
    ToolCall,
)
from inference.ir.errors import UpstreamFailed
from inference.ir.events import Began, CallBegan, CallDelta, Failed, LogProbs, TextDelta
from inference.ir.folding import fold, unfold
from inference.ir.usage import Usage, UsageSource

COMPLETION = Completion(
    family=Family.ANTHROPIC,
    id="msg_1",
    model="m",
    created=7,
    service_tier="standard",
    choices=(
        Choice(
            parts=(
                Reasoning(text="hm", signature="s", issuer=Family.ANTHROPIC),
                Reasoning(redacted="xyz", issuer=Family.ANTHROPIC),
                Reasoning(summaries=("one", "two"), id="rs_1"),
                Text(text="hello", citations=(Citation(url="https://example.com"),)),
                ToolCall(id="c1", name="look", arguments='{"a":1}', signature="t", issuer=Family.GEMINI),
                Image(source=Source(data="aGk=", media_type="image/png")),
                Audio(source=Source(data="aGk="), transcript="hi", id="a1", expires_at=9),
                Opaque(family=Family.ANTHROPIC, kind="server_tool_use", raw=Raw(b'{"x":1}')),
            ),
            finish=Finish.TOOL_CALLS,
            native="tool_use",
            logprobs=Raw(b'{"content":[]}'),
            rest={"k": Raw(b"1")},
        ),
        Choice(index=1, parts=(Refusal(text="no"),), finish=Finish.STOP, native="stop", stop_sequence="END"),
    ),
    usage=Usage(input_tokens=3, output_tokens=4, source=UsageSource.REPORTED),
    rest={"container": Raw(b"null")},
)


def test_apart_and_together() -> None:
    assert fold(unfold(COMPLETION)) == COMPLETION


def test_interleaved_calls_stay_apart() -> None:
    folded = fold(
        [
            Began(family=Family.OPENAI_CHAT),
            CallBegan(id="a", name="f", block=0),
            CallBegan(id="b", name="g", block=1),
            CallDelta("{", 1),
            CallDelta("[", 0),
            CallDelta("}", 1),
            CallDelta("]", 0),
            TextDelta("x", 2),
        ]
    )
    assert [part.arguments for part in folded.choices[0].parts if isinstance(part, ToolCall)] == ["[]", "{}"]


def test_log_probabilities_are_joined_and_a_reported_failure_is_raised() -> None:
    folded = fold([LogProbs(Raw(b'{"content":[1]}')), LogProbs(Raw(b'{"content":[2],"refusal":null}'))])
    assert bytes(folded.choices[0].logprobs or b"") == b'{"content":[1,2]}'
    with pytest.raises(UpstreamFailed):
        fold([TextDelta("x"), Failed(UpstreamFailed("overloaded"))])
