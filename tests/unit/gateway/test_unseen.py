"""Fields a model is never to see."""

import pytest

from gateway.unseen import body_without, check_allowed, form_without
from inference.codecs.form import read_form
from inference.ir.errors import InvalidField

FORM = (
    b'--x\r\ncontent-disposition: form-data; name="prompt"\r\n\r\nhi\r\n'
    b'--x\r\ncontent-disposition: form-data; name="user"\r\n\r\nme\r\n--x--\r\n'
)


def test_a_body_less_what_it_has_of_them() -> None:
    body = b'{ "model": "m", "user": "me", "x": 1.50 }'
    assert body_without(body, frozenset({"user", "seed"})) == (b'{"model":"m","x":1.50}', ("user",))
    assert body_without(body, frozenset({"seed"})) == (body, ())


def test_a_form_less_what_it_has_of_them() -> None:
    left, gone = form_without(FORM, frozenset({"user", "seed"}))
    assert ([part.name for part in read_form(left).parts], gone) == (["prompt"], ("user",))
    assert form_without(FORM, frozenset({"seed"})) == (FORM, ())


def test_who_wants_all_is_told() -> None:
    check_allowed(("user",), strict=False)
    check_allowed((), strict=True)
    with pytest.raises(InvalidField, match="leave out user") as refused:
        check_allowed(("user",), strict=True)
    assert (refused.value.param, refused.value.code) == ("user", "not_translatable")
