import msgspec
import pytest
from msgspec import Raw

from inference.codecs.gemini.writing import NotAnObject, write_part
from inference.ir.content import (
    CacheHint,
    Citation,
    Family,
    Image,
    Opaque,
    Part,
    Reasoning,
    Source,
    Text,
    ToolCall,
    ToolResult,
)


def written(part: Part, *, own: bool = False) -> tuple[object, list[str]]:
    dropped: list[str] = []
    made = write_part(part, dropped.append, own=own, names={"c": "f"})
    return (None if made is None else msgspec.json.decode(msgspec.json.encode(made))), dropped


def test_foreign_signatures_and_citations_are_named_as_lost() -> None:
    cited = Text(text="a", citations=(Citation(url="u"),), cache=CacheHint.FIVE_MINUTES)
    assert written(cited) == ({"text": "a"}, ["cache_control", "citations"])
    thought = Reasoning(text="t", signature="s", issuer=Family.ANTHROPIC)
    assert written(thought) == ({"text": "t", "thought": True}, ["signature"])
    own = Reasoning(text="t", signature="s", issuer=Family.GEMINI)
    assert written(own) == ({"text": "t", "thought": True, "thoughtSignature": "s"}, [])
    other = Opaque(family=Family.ANTHROPIC, kind="web", raw=Raw(b"{}"))
    assert written(other) == (None, [""])


def test_calls_need_an_object() -> None:
    call = ToolCall(id="c", name="f", arguments='{"a" : 1}')
    assert written(call) == ({"functionCall": {"id": "c", "name": "f", "args": {"a": 1}}}, [])
    assert written(ToolCall(id="c", name="f"))[0] == {"functionCall": {"id": "c", "name": "f", "args": {}}}
    for arguments in ("{", "[1]", '"x"', "{} x"):
        with pytest.raises(NotAnObject):
            written(ToolCall(id="c", name="f", arguments=arguments))


def test_results_become_objects() -> None:
    plain = ToolResult(call_id="c", content=(Text(text="sun"),))
    assert written(plain)[0] == {"functionResponse": {"id": "c", "name": "f", "response": {"output": "sun"}}}
    failed = ToolResult(call_id="c", content=(Text(text="no"),), error=True)
    assert written(failed)[0] == {"functionResponse": {"id": "c", "name": "f", "response": {"error": "no"}}}
    image = Image(source=Source(data="AA==", media_type="image/png"), detail="low")
    shown = ToolResult(call_id="c", content=(Text(text='{"a": 1}'), image))
    made, dropped = written(shown)
    assert made == {
        "functionResponse": {
            "id": "c",
            "name": "f",
            "response": {"a": 1},
            "parts": [{"inlineData": {"mimeType": "image/png", "data": "AA=="}}],
        }
    }
    assert dropped == ["content[1].detail"]


def test_rest_comes_back_to_its_own_and_is_named_elsewhere() -> None:
    part = Text(text="a", rest={"partMetadata": Raw(b"1")})
    assert written(part, own=True) == ({"text": "a", "partMetadata": 1}, [])
    assert written(part) == ({"text": "a"}, ["partMetadata"])
    call = ToolCall(id="call_gemini_0", name="f", rest={"functionCall.willContinue": Raw(b"true")})
    assert written(call, own=True)[0] == {"functionCall": {"name": "f", "args": {}, "willContinue": True}}
