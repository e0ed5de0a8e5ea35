"""Thoughts that Google's SDKs keep in the pieces a stream told them in, each event a turn of its own."""

import json
from typing import Any

from gateway.dialects.gemini.parse import parse
from gateway.dialects.gemini.places import places
from inference.codecs.gemini.seals import seal
from inference.codecs.seal import Seal
from inference.ir.chat import Message, Role
from inference.ir.content import Family, Reasoning, Text, ToolCall

CLAUDES = seal(Seal(issuer=Family.ANTHROPIC, signature="s1"))
HIDDEN = seal(Seal(issuer=Family.ANTHROPIC, redacted="zz"))
OPENAIS = seal(Seal(issuer=Family.OPENAI_RESPONSES, signature="gAAA", id="rs_1"))


def thought(text: str, signature: str | None = None) -> dict[str, Any]:
    part: dict[str, Any] = {"text": text, "thought": True}
    return part if signature is None else part | {"thoughtSignature": signature}


def body(*turns: list[dict[str, Any]]) -> bytes:
    asked = [
        {"role": "user", "parts": [{"text": "Why?"}]},
        *({"role": "model", "parts": each} for each in turns),
    ]
    return json.dumps({"contents": [*asked, {"role": "user", "parts": [{"text": "So?"}]}]}).encode()


def read(asked: bytes) -> tuple[Message, ...]:
    return parse(asked, model="m", stream=False).messages


def test_pieces_and_their_seal_are_one_thought() -> None:
    call: dict[str, Any] = {"functionCall": {"id": "c1", "name": "f", "args": {}}}
    asked = body(
        [thought("a ")],
        [thought("b")],
        [thought("", CLAUDES), thought("", HIDDEN)],
        [{"text": "I see."}, call],
    )
    messages = read(asked)
    assert [message.role for message in messages] == [Role.USER, Role.ASSISTANT, Role.USER]
    assert messages[1].parts == (
        Reasoning(text="a b", signature="s1", issuer=Family.ANTHROPIC),
        Reasoning(redacted="zz", issuer=Family.ANTHROPIC),
        Text(text="I see."),
        ToolCall(id="c1", name="f", arguments="{}"),
    )
    where = places(asked)
    assert [place.at for place in where] == ["contents[0]", "contents[1]", "contents[5]"]
    assert where[1].parts == (
        "contents[3].parts[0]",
        "contents[3].parts[1]",
        "contents[4].parts[0]",
        "contents[4].parts[1]",
    )


def test_each_seal_ends_its_thought_and_openais_is_of_a_summary() -> None:
    asked = body([thought("a", CLAUDES), thought("b"), thought("c", OPENAIS)])
    assert read(asked)[1].parts == (
        Reasoning(text="a", signature="s1", issuer=Family.ANTHROPIC),
        Reasoning(summaries=("bc",), signature="gAAA", issuer=Family.OPENAI_RESPONSES, id="rs_1"),
    )


def test_thoughts_that_words_part_stay_apart() -> None:
    asked = body([thought("a"), {"text": "Hm."}, thought("b", CLAUDES)])
    assert [part.text for part in read(asked)[1].parts if isinstance(part, Reasoning)] == ["a", "b"]


def test_geminis_own_conversations_stay_as_they_are() -> None:
    asked = body([thought("a")], [thought("b", "EqQBCgIYAhIMK/8=")])
    messages = read(asked)
    assert [len(message.parts) for message in messages] == [1, 1, 1, 1]
    assert messages[2].parts == (Reasoning(text="b", signature="EqQBCgIYAhIMK/8=", issuer=Family.GEMINI),)
    assert [place.at for place in places(asked)] == [f"contents[{n}]" for n in range(4)]
