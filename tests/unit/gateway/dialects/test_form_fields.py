"""Fields of forms as they were meant."""

from typing import Any

import pytest

from gateway.dialects.form_fields import (
    choice,
    files,
    flag,
    hints_of,
    integer,
    needed,
    needed_files,
    number,
)
from inference.codecs.form import Field, Form, read_form
from inference.ir.errors import InvalidField
from tests.bulk import form_of


def form(**texts: str) -> Form:
    return read_form(form_of([Field(name=name, value=text.encode()) for name, text in texts.items()], "b"))


EMPTY = form(other="a")


def test_what_is_there() -> None:
    assert needed(form(a="x"), "a") == "x"
    assert integer(form(a="3"), "a") == 3
    assert number(form(a="0.5"), "a") == 0.5
    assert choice(form(a="y"), "a", ("x", "y")) == "y"
    assert [flag(form(a=text), "a") for text in ("true", "True", "1", "false", "0")] == [True] * 3 + [
        False
    ] * 2
    assert hints_of(form(aspendos='{"tags":{"a":"b"}}')) == (True, {"a": "b"})


def test_what_is_not_there_or_empty() -> None:
    for each in (EMPTY, form(a="")):
        assert integer(each, "a") is number(each, "a") is choice(each, "a", ()) is None
        assert flag(each, "a") is False
    assert hints_of(EMPTY) == (False, None)
    assert files(EMPTY, "a", most=1) == []


@pytest.mark.parametrize(
    ("read", "text"),
    [
        (needed, ""),
        (integer, "0"),
        (integer, "1.5"),
        (integer, "many"),
        (number, "nan"),
        (number, "much"),
        (flag, "perhaps"),
    ],
)
def test_what_is_wrong_is_named(read: Any, text: str) -> None:
    with pytest.raises(InvalidField) as refused:
        read(form(a=text), "a")
    assert refused.value.param == "a"


def test_hints_that_are_no_json() -> None:
    with pytest.raises(InvalidField) as refused:
        hints_of(form(aspendos="atlas"))
    assert refused.value.param == "aspendos"


def test_files() -> None:
    sent = read_form(
        form_of(
            [
                Field(name="a[]", value=b"1", filename="x"),
                Field(name="a[]", value=b"2", filename="y"),
                Field(name="text", value=b"2"),
                Field(name="empty", value=b"", filename="y"),
            ],
            "b",
        )
    )
    assert [sent.value(part) for part in files(sent, "a", most=2)] == [b"1", b"2"]
    for name, most in (("a", 1), ("text", 1), ("empty", 1), ("absent", 1)):
        with pytest.raises(InvalidField) as refused:
            needed_files(sent, name, most=most)
        assert refused.value.param == name
