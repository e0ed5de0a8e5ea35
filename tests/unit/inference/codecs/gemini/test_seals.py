"""Other providers' signatures as `thoughtSignature`: bytes for whoever decodes them, and back in either alphabet."""

import base64
import json
from typing import Any

import pytest
from msgspec import Raw

from inference.codecs.gemini.seals import SEAL_MARK, seal, unseal, without_seals
from inference.codecs.seal import Seal
from inference.ir.content import Family

SIGNED = Seal(issuer=Family.ANTHROPIC, signature="EqQB+/=ÿ?>~" * 7)
WRAPPED = seal(SIGNED)


@pytest.mark.parametrize("size", range(6))
def test_it_comes_back_in_either_alphabet(size: int) -> None:
    given = Seal(issuer=Family.OPENAI_RESPONSES, signature="~?" * 40 + "x" * size, id="rs_1")
    written = seal(given)
    decoded = base64.b64decode(written, validate=True)
    assert json.dumps(written).encode().startswith(SEAL_MARK)
    for back in (written, base64.urlsafe_b64encode(decoded).decode(), written.rstrip("=")):
        assert unseal(back) == given


def test_googles_own_and_what_cannot_be_read() -> None:
    assert unseal("EqQBCgIYAhIMK/8=") is None
    assert unseal(base64.b64encode(b"aspendos:{}").decode()) is None
    assert unseal("YXNwZW5kb3M6!") is None


@pytest.mark.parametrize("name", ["thoughtSignature", "thought_signature"])
def test_nobody_elses_reaches_gemini(name: str) -> None:
    own: dict[str, Any] = {"text": "Hm.", "thought": True, name: "EqQBCgIYAhIMK/8="}
    call = {"functionCall": {"name": "f", "args": {"x": WRAPPED}}}
    turns = [
        {"role": "user", "parts": [{"text": WRAPPED}]},
        {"role": "model", "parts": [{"text": "why", "thought": True, name: WRAPPED}]},
        {"role": "model", "parts": [{"text": "", name: WRAPPED}, {"text": "a", name: WRAPPED}, own]},
        {"role": "model", "parts": [{**call, name: WRAPPED}]},
    ]
    left = json.loads(bytes(without_seals(Raw(json.dumps(turns).encode()))))
    assert left == [
        turns[0],
        {"role": "model", "parts": [{"text": "a"}, own]},
        {"role": "model", "parts": [call]},
    ]


def test_what_is_no_list_of_turns_is_geminis_to_judge() -> None:
    odd = Raw(b'{"parts":' + json.dumps(WRAPPED).encode() + b"}")
    assert without_seals(odd) == odd
