"""Forms: what is read is what was sent, and what is patched is otherwise untouched."""

from email.message import Message

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.codecs.form import (
    MOST_PARTS,
    MOST_TEXT,
    Field,
    Form,
    boundary_in,
    boundary_of,
    free_boundary,
    patched,
    read_form,
    write_form,
)
from inference.ir.errors import BadRequest, InvalidField
from tests.bulk import FakeBulk, all_of, form_of

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
    assert isinstance(body, bytes)
    form = read_form(body)
    read = [Field(name=part.name, value=form.value(part), filename=part.filename) for part in form.parts]
    assert read == fields
    assert boundary_of(content_type.encode()) == boundary_in(body) == form.boundary
    assert patched(form, {}) == body


@given(FIELDS, st.data())
@settings(deadline=None)
def test_one_field_is_another_and_the_rest_untouched(fields: list[Field], data: st.DataObject) -> None:
    body = form_of([Field(name="model", value=b"old"), *fields], "=_bound'ary")
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
    told = read_form(held_of(form, {"language": "de"}, without=frozenset({"file"})))
    assert [(part.name, told.read(part)) for part in told.parts] == [("model", "gpt"), ("language", "de")]


def test_what_follows_the_end_is_kept_and_read_by_nobody() -> None:
    body = BODY + b"\r\n" * 3
    assert len(read_form(body).parts) == 2
    assert patched(read_form(body), {"model": "gpt"}) == body


def test_a_form_larger_than_what_is_read_at_once() -> None:
    sound = b"\r\n--" * 700_000
    body = form_of([Field(name="file", value=sound, filename="a"), Field(name="n", value=b"1")], "b")
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
    large = form_of([Field(name="prompt", value=b"a" * 1_100_000)], "b")
    with pytest.raises(InvalidField) as refused:
        read_form(large)
    assert (refused.value.param, refused.value.code) == ("prompt", "field_too_large")
    many = form_of([Field(name="a", value=b"")] * (MOST_PARTS + 1), "b")
    with pytest.raises(InvalidField) as refused:
        read_form(many)
    assert refused.value.code == "too_many_fields"


def test_a_field_that_comes_twice_or_is_a_file_is_no_text() -> None:
    twice = read_form(form_of([Field(name="n", value=b"1"), Field(name="n", value=b"2")], "b"))
    assert twice.texts("n") == ("1", "2")
    with pytest.raises(InvalidField, match="2 times"):
        twice.text("n")
    with pytest.raises(InvalidField, match="is a file"):
        read_form(BODY).text("file")
    with pytest.raises(InvalidField, match="UTF-8"):
        read_form(form_of([Field(name="n", value=b"\xff")], "b")).text("n")


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


@given(FIELDS, st.sets(NAMES, max_size=2), st.booleans())
@settings(deadline=None)
async def test_bulk_is_patched_as_what_is_held(fields: list[Field], without: set[str], renamed: bool) -> None:
    body = form_of([*fields, Field(name="model", value=b"old")], "=_bound'ary")
    gone = frozenset({*without, fields[0].name})
    texts = {"model": "new", "more": "yes"} if renamed else {}
    of_bulk = read_form(FakeBulk(body))
    assert of_bulk.parts == read_form(body).parts
    expected = held_of(read_form(body), texts, without=gone)
    assert await all_of(patched(of_bulk, texts, without=gone)) == expected
    assert await all_of(patched(of_bulk.without(gone), texts)) == expected


async def test_a_large_file_is_neither_read_nor_copied_to_be_sent_on() -> None:
    sound = bytes(range(256)) * 8192
    fields = [Field(name="model", value=b"old"), Field(name="file", value=FakeBulk(sound), filename="a")]
    written, _ = write_form(fields, "b")
    body = FakeBulk(await all_of(written))
    form = read_form(body)
    assert form.value(form.parts[1])[:4] == sound[:4]
    body.most = 0
    sent = patched(form, {"model": "new"})
    assert 0 < body.most < 1000
    told = read_form(await all_of(sent))
    assert (told.text("model"), told.value(told.parts[1])) == ("new", sound)


def test_texts_may_not_fill_the_memory_together() -> None:
    text = b"x" * MOST_TEXT
    fields = [Field(name=f"f{number}", value=text) for number in range(5)]
    with pytest.raises(InvalidField) as refused:
        read_form(form_of(fields, "b"))
    assert (refused.value.param, refused.value.code) == ("f4", "field_too_large")


def held_of(form: Form, texts: dict[str, str], *, without: frozenset[str] = frozenset()) -> bytes:
    sent = patched(form, texts, without=without)
    assert isinstance(sent, bytes)
    return sent
