"""Other providers' signatures in a thinking block: wrapped, known again, and never shown to Anthropic."""

import json
from typing import Any

import pytest
from msgspec import Raw

from inference.codecs.anthropic.seals import SEAL_MARK, seal, unseal, without_seals
from inference.ir.content import Family, Reasoning

WRAPPED = seal(Family.GEMINI, "EqQB/8=")


def test_anothers_is_wrapped_and_anthropics_own_is_not() -> None:
    assert json.dumps(WRAPPED).encode().startswith(SEAL_MARK)
    assert unseal("t", WRAPPED) == Reasoning(text="t", signature="EqQB/8=", issuer=Family.GEMINI)
    assert seal(Family.ANTHROPIC, "own") == "own"
    assert unseal("t", "own") == Reasoning(text="t", signature="own", issuer=Family.ANTHROPIC)
    assert seal(None, None) == seal(Family.BEDROCK, None) == ""


@pytest.mark.parametrize("signature", ["", "aspendos.nonsense", "aspendos.e30="])
def test_what_cannot_be_read_is_nobodys(signature: str) -> None:
    assert unseal("t", signature) == Reasoning(text="t")


def test_nobody_elses_reaches_anthropic() -> None:
    own: dict[str, Any] = {"type": "thinking", "thinking": "Hm.", "signature": "own"}
    call: dict[str, Any] = {"type": "tool_use", "id": "t", "name": "f", "input": {"signature": WRAPPED}}
    turns: list[dict[str, Any]] = [
        {"role": "user", "content": f'say "{WRAPPED}"'},
        {"role": "assistant", "content": [{"type": "thinking", "thinking": "why", "signature": WRAPPED}]},
        {
            "role": "assistant",
            "content": [{**own, "signature": WRAPPED}, own, {**call, "signature": WRAPPED}],
        },
    ]
    left = json.loads(bytes(without_seals(Raw(json.dumps(turns).encode()))))
    assert left == [turns[0], {"role": "assistant", "content": [own, call]}]


def test_what_is_no_list_of_turns_is_anthropics_to_judge() -> None:
    odd = Raw(json.dumps({"role": WRAPPED}).encode())
    assert without_seals(odd) == odd
