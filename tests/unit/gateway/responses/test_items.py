"""Items as they are kept and shown, and turns put together."""

import json
from typing import Any

from msgspec import Raw

from gateway.responses.items import continued, given_items, id_of, named_items, stamped


def shown(given: object) -> list[dict[str, Any]]:
    return [json.loads(bytes(item)) for item in named_items(json.dumps(given).encode(), "resp_ab")]


def test_text_is_a_message_of_the_users() -> None:
    assert shown("hello") == [
        {
            "type": "message",
            "role": "user",
            "content": [{"type": "input_text", "text": "hello"}],
            "id": "msg_abi00",
            "status": "completed",
        }
    ]


def test_every_item_is_typed_named_and_in_parts() -> None:
    items = shown(
        [
            {"role": "assistant", "content": "yes"},
            {"role": "user", "content": [{"type": "input_text", "text": "no"}]},
            {"type": "function_call_output", "call_id": "c", "output": "1"},
            {"type": "web_search_call", "id": "ws_1"},
        ]
    )
    assert [item["id"] for item in items] == ["msg_abi00", "msg_abi01", "fco_abi02", "ws_1"]
    assert items[0]["content"] == [{"type": "output_text", "annotations": [], "text": "yes"}]
    assert items[3] == {"type": "web_search_call", "id": "ws_1"}


def test_what_is_no_item_is_left_alone() -> None:
    assert named_items(b'[3,{"type":4}]', "resp_a") == [Raw(b"3"), Raw(b'{"type":4}')]
    assert id_of(Raw(b'{"id":4}')) == ""
    assert given_items(b"null") == []


def test_what_came_before_goes_before() -> None:
    body = b'{"model":"m","input":"now","previous_response_id":"resp_1","x":{"kept":1}}'
    assert json.loads(continued(body, [Raw(b'{"a":1}')])) == {
        "model": "m",
        "input": [{"a": 1}, {"type": "message", "role": "user", "content": "now"}],
        "x": {"kept": 1},
    }
    assert json.loads(continued(b'{"previous_response_id":"r"}', [Raw(b"1")])) == {"input": [1]}


def test_a_response_goes_out_under_the_gateways_id() -> None:
    told = stamped(b'{"id":"theirs","store":false,"x":1}', name="resp_ours", previous="resp_0", kept=True)
    assert json.loads(told) == {"id": "resp_ours", "store": True, "x": 1, "previous_response_id": "resp_0"}
