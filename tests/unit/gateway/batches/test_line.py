"""Lines of a batch: what is asked, why one cannot be run, and results on one line each."""

import json

import pytest

from gateway.batches.line import Fault, Line, answered, failed, number_of, read_line, too_long, twice

URL = "/v1/embeddings"
GOOD = {"custom_id": "a", "method": "POST", "url": URL, "body": {"model": "m", "x": 1.50}}


def test_a_line_is_a_request_and_its_body_is_untouched() -> None:
    raw = b'{"custom_id":"a","method":"post","url":"/v1/embeddings","body":{"x": 1.50, "model":"m"},"more":1}'
    assert read_line(raw, 1, URL) == Line("a", b'{"x": 1.50, "model":"m"}')
    assert isinstance(read_line(raw.replace(b'"x"', b'"stream":null,"x"'), 1, URL), Line)
    assert isinstance(read_line(raw.replace(b'"x"', b'"stream":false,"x"'), 1, URL), Line)


@pytest.mark.parametrize(
    ("change", "code", "named"),
    [
        ({"custom_id": None}, "invalid_custom_id", False),
        ({"custom_id": ""}, "invalid_custom_id", False),
        ({"custom_id": "x" * 513}, "invalid_custom_id", False),
        ({"method": "GET"}, "invalid_method", True),
        ({"url": "/v1/chat/completions"}, "invalid_url", True),
        ({"url": 3}, "invalid_url", True),
        ({"body": None}, "invalid_body", True),
        ({"body": [1]}, "invalid_body", True),
        ({"body": {"stream": True}}, "stream_not_supported", True),
        ({"body": {"stream": 1}}, "stream_not_supported", True),
    ],
)
def test_a_line_that_cannot_be_run_says_why(change: dict[str, object], code: str, named: bool) -> None:
    fault = read_line(json.dumps(GOOD | change).encode(), 7, URL)
    assert isinstance(fault, Fault)
    assert (fault.code, fault.custom_id) == (code, "a" if named else None)
    assert "Line 7" in fault.message or code == "stream_not_supported"


@pytest.mark.parametrize("raw", [b"no", b"[]", b"3", b'{"custom_id":"a"', b"\xff{}", b"[" * 100_000])
def test_what_is_no_object_is_no_request(raw: bytes) -> None:
    fault = read_line(raw, 2, URL)
    assert isinstance(fault, Fault)
    assert fault.code == "invalid_json_line"


def test_results_are_one_line_each_and_name_theirs() -> None:
    good = answered("batch_a1", 12, Line("a", b"{}"), status=200, request_id="r", body=b'{\n "x": 1.50\n}')
    assert good == (
        b'{"id":"batch_req_a1_12","custom_id":"a","response":'
        b'{"status_code":200,"request_id":"r","body":{"x":1.50}},"error":null}\n'
    )
    odd = answered("batch_a1", 3, Line("a", b"{}"), status=502, request_id="r", body=b"no\njson")
    assert odd.count(b"\n") == 1
    for fault in (too_long(3, 9), twice(3, "a")):
        bad = failed("batch_a1", 3, fault.custom_id, fault.code, fault.message)
        said = json.loads(bad)
        assert (said["response"], said["error"]["line"]) == (None, 3)
        assert number_of(bad) == 3
    assert number_of(good) == 12
    assert number_of(b'{"id":"batch_req_a1_"}') is None
    assert number_of(good[:-20]) is None
