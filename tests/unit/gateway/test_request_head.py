"""What a client says beside the body."""

import pytest

from gateway.edge.edge import Header
from gateway.request_head import (
    authorization,
    check_head,
    form_type,
    forwarded,
    said,
    said_with_form,
    wants_all,
)
from inference.codecs.form import FORM
from inference.ir.errors import BadRequest, MethodNotAllowed, UnsupportedMedia
from tests.fake_edge import FakeEdge


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([(b"authorization", b"Bearer a"), (b"x-api-key", b"b")], b"Bearer a"),
        ([(b"x-api-key", b"b")], b"Bearer b"),
        ([(b"x-goog-api-key", b"c")], b"Bearer c"),
        ([(b"api-key", b"d")], b"Bearer d"),
        ([], None),
    ],
)
def test_a_key_in_whichever_header(headers: list[Header], expected: bytes | None) -> None:
    assert authorization(FakeEdge(headers=headers)) == expected


@pytest.mark.parametrize(
    ("value", "expected"), [(b"1", True), (b"true", True), (b"0", False), (b"false", False)]
)
def test_who_wants_nothing_left_out(value: bytes, expected: bool) -> None:
    assert wants_all(FakeEdge(headers=[(b"x-aspendos-strict", value)])) is expected
    assert wants_all(FakeEdge()) is False


def test_what_a_head_says_is_said_at_once() -> None:
    headers = [(b"x-api-key", b"b"), (b"x-aspendos-tags", b"a=b"), (b"x-aspendos-strict", b"1")]
    found = said(FakeEdge(headers=headers))
    assert (found.authorization, found.tags, found.strict) == (b"Bearer b", b"a=b", True)
    assert found.proof.credential is None
    with pytest.raises(UnsupportedMedia):
        said(FakeEdge(headers=[(b"content-type", b"text/plain")]))
    with pytest.raises(UnsupportedMedia):
        said_with_form(FakeEdge(headers=[(b"content-type", b"application/json")]))


def test_headers_that_go_on() -> None:
    edge = FakeEdge(headers=[(b"anthropic-beta", b"x"), (b"cookie", b"secret")])
    assert forwarded(edge, (b"anthropic-version", b"anthropic-beta")) == b"anthropic-beta: x\r\n"


def test_a_form_begins_with_the_boundary_it_names() -> None:
    body = b'--x\r\ncontent-disposition: form-data; name="a"\r\n\r\nb\r\n--x--\r\n'
    kind = b"multipart/form-data; boundary="
    assert form_type(FakeEdge(headers=[(b"content-type", kind + b"x")]), body) == (kind + b"x").decode()
    with pytest.raises(BadRequest) as refused:
        form_type(FakeEdge(headers=[(b"content-type", kind + b"y")]), body)
    assert refused.value.code == "invalid_form"


def test_what_is_refused_before_the_body_is_read() -> None:
    check_head(FakeEdge())
    check_head(FakeEdge(headers=[(b"content-type", b"Application/JSON; charset=utf-8")]))
    check_head(FakeEdge(headers=[(b"content-type", b"multipart/form-data; boundary=x")]), FORM)
    with pytest.raises(MethodNotAllowed):
        check_head(FakeEdge(method="GET"))
    for headers in (
        [(b"content-type", b"text/plain")],
        [(b"content-type", b"application/json"), (b"content-encoding", b"gzip")],
    ):
        with pytest.raises(UnsupportedMedia):
            check_head(FakeEdge(headers=headers))
    with pytest.raises(UnsupportedMedia, match="with a boundary"):
        check_head(FakeEdge(headers=[(b"content-type", b"multipart/form-data")]), FORM)
