"""Calls that began elsewhere, by ids that Anthropic takes."""

import json
import re
from typing import Any

import pytest
from msgspec import Raw

from inference.codecs.anthropic.call_ids import has_odd_ids, with_fitting_ids


def body(*ids: str, spaced: bool = False) -> bytes:
    calls = [{"type": "tool_use", "id": each, "name": "f", "input": {"id": "a b"}} for each in ids]
    results = [{"type": "tool_result", "tool_use_id": each, "content": "3 tool_use"} for each in ids]
    turns: list[dict[str, Any]] = [
        {"role": "user", "content": "tool_use?"},
        {"role": "assistant", "content": [{"type": "text", "text": "é"}, *calls]},
        {"role": "user", "content": results},
    ]
    return json.dumps({"messages": turns}, separators=(", ", " : ") if spaced else (",", ":")).encode()


@pytest.mark.parametrize("given", ["call.1", "fc|2", "chatcmpl-tool:3", "", "é", "a b"])
@pytest.mark.parametrize("spaced", [False, True])
def test_an_odd_id_fits_and_results_find_their_call(given: str, spaced: bool) -> None:
    asked = body("toolu_01", given, spaced=spaced)
    assert has_odd_ids(asked)
    before = json.loads(asked)["messages"]
    after = json.loads(bytes(with_fitting_ids(Raw(json.dumps(before).encode()))))
    call, result = after[1]["content"][2], after[2]["content"][1]
    assert call["id"] == result["tool_use_id"]
    assert re.fullmatch(r"[a-zA-Z0-9_-]+", call["id"])
    assert call["input"] == {"id": "a b"}
    call["id"] = result["tool_use_id"] = given
    assert after == before


def test_ids_that_fit_are_left() -> None:
    asked = json.dumps({"messages": [{"role": "user", "content": "tool_use_id : call.1"}]}).encode()
    assert not has_odd_ids(asked)
    plain = json.dumps({"content": [{"type": "tool_result", "tool_use_id": "toolu_01-a"}]}).encode()
    assert not has_odd_ids(plain)


@pytest.mark.parametrize(
    "turns", [b"{}", b"[", b'["a"]', b'[{"content":["tool_use"]}]', b'[{"tool_use":1,"content":"a"}]']
)
def test_what_is_no_list_of_turns_is_left(turns: bytes) -> None:
    left = bytes(with_fitting_ids(Raw(turns)))
    assert left == turns
