"""Forms: what is read is what was sent, and what is patched is otherwise untouched."""

from email.message import Message

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.codecs.form import (
    MOST_PARTS,
    Field,
    boundary_in,
    boundary_of,
    free_boundary,
    patched,
    read_form,
    write_form,
)
from inference.ir.errors import BadRequest, InvalidField

BODY = (
    b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\ngpt\r\n'
    b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\nContent-Type: audio/wav\r\n\r\n'
    b"\x00\r\n--bear\r\n-\r\n--b--\r\n"
).replace(b"\r\n--bear", b"\r\n-bear")
NAMES = st.text(
    st.characters(exclude_characters='\r\n"\\%', exclude_categories=["Cs", "Cc"]), min_size=1, max_size=8
)
VALUES = st.lists(
    st.sampled_from([b"\r", b"\n", b"-", b"--", b"aspendos-form-0", b"x", b"\0"]), max_size=20
).map(b"".join)
FIELDS = st.lists(
    st.builds(Field, name=NAMES, value=VALUES, filename=st.none() | NAMES, content_type=st.none()),
    min_size=1,
    max_size=6,
)


@given(FIELDS)
@settings(deadline=None)
def test_what_is_written_is_read(fields: list[Field]) -> None:
    body, content_type = write_form(fields, free_boundary(fields))
    form = read_form(body)
    read = [Field(name=part.name, value=form.value(part), filename=part.filename) for part in form.parts]
    assert read == fields
    assert boundary_of(content_type.encode()) == boundary_in(body) == form.boundary
    assert patched(form, {}) == body


@given(FIELDS, st.data())
@settings(deadline=None)
def test_one_field_is_another_and_the_rest_untouched(fields: list[Field], data: st.DataObject) -> None:
    body, _ = write_form([Field(name="model", value=b"old"), *fields], "=_bound'ary")
    form = read_form(body)
    if [field.name for field in fields if field.name in ("model", "model[]")]:
        return
    new = patched(form, {"model": "new"})
    assert new == body.replace(b"\r\n\r\nold\r\n", b"\r\n\r\nnew\r\n", 1)
    cut = data.draw(st.integers(0, len(body) - 3))
    with pytest.raises(BadRequest):
        read_form(body[:cut])


def test_fields_are_added_and_taken_out() -> None:
    form = read_form(BODY)
    told = read_form(patched(form, {"language": "de"}, without=frozenset({"file"})))
    assert [(part.name, told.read(part)) for part in told.parts] == [("model", "gpt"), ("language", "de")]


def test_what_follows_the_end_is_kept_and_read_by_nobody() -> None:
    body = BODY + b"\r\n" * 3
    assert len(read_form(body).parts) == 2
    assert patched(read_form(body), {"model": "gpt"}) == body


def test_a_form_larger_than_what_is_read_at_once() -> None:
    sound = b"\r\n--" * 700_000
    body, _ = write_form([Field(name="file", value=sound, filename="a"), Field(name="n", value=b"1")], "b")
    form = read_form(body)
    assert form.value(form.parts[0]) == sound
    assert form.text("n") == "1"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--",
        b"model=a",
        b"preamble\r\n" + BODY,
        BODY.replace(b"form-data; name", b"attachment; name"),
        BODY.replace(b'form-data; name="model"', b"form-data"),
        BODY.replace(b"--b--", b"--b"),
        BODY.replace(b"\r\n", b"\n"),
        b"--" + b"b" * 300 + BODY[3:],
    ],
)
def test_what_is_no_form(body: bytes) -> None:
    with pytest.raises(BadRequest) as refused:
        read_form(body)
    assert refused.value.code in ("invalid_form", "empty_body")


def test_limits_name_the_field() -> None:
    large, _ = write_form([Field(name="prompt", value=b"a" * 1_100_000)], "b")
    with pytest.raises(InvalidField) as refused:
        read_form(large)
    assert (refused.value.param, refused.value.code) == ("prompt", "field_too_large")
    many, _ = write_form([Field(name="a", value=b"")] * (MOST_PARTS + 1), "b")
    with pytest.raises(InvalidField) as refused:
        read_form(many)
    assert refused.value.code == "too_many_fields"


def test_a_field_that_comes_twice_or_is_a_file_is_no_text() -> None:
    twice = read_form(write_form([Field(name="n", value=b"1"), Field(name="n", value=b"2")], "b")[0])
    assert twice.texts("n") == ("1", "2")
    with pytest.raises(InvalidField, match="2 times"):
        twice.text("n")
    with pytest.raises(InvalidField, match="is a file"):
        read_form(BODY).text("file")
    with pytest.raises(InvalidField, match="UTF-8"):
        read_form(write_form([Field(name="n", value=b"\xff")], "b")[0]).text("n")


@pytest.mark.parametrize(
    ("kind", "boundary"),
    [
        ('multipart/form-data; boundary="a b"', b"a b"),
        ("Multipart/Form-Data;charset=utf-8;boundary=x", b"x"),
        ("multipart/form-data", None),
        ("multipart/mixed; boundary=x", None),
        ("application/json", None),
    ],
)
def test_boundaries(kind: str, boundary: bytes | None) -> None:
    assert boundary_of(kind.encode()) == boundary
    header = Message()
    header["content-type"] = kind
    if boundary is not None:
        assert header.get_boundary() == boundary.decode()
