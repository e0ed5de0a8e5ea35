"""Fields of a form as a client meant them: texts read as numbers, words and files, mistakes named by field. Pure."""

import math
from collections.abc import Collection

import msgspec

from gateway.dialects.hints import Hints, tags_of
from inference.codecs.form import Form, FormPart
from inference.ir.errors import InvalidField

_hints = msgspec.json.Decoder(Hints)
_TRUE = {"true": True, "false": False, "1": True, "0": False}


def needed(form: Form, name: str) -> str:
    """A text that has to be there. Raises InvalidField."""
    text = form.text(name)
    if text is None:
        raise _missing(name, "a text")
    return text


def integer(form: Form, name: str, *, least: int = 1) -> int | None:
    """Raises InvalidField."""
    text = form.text(name)
    if text is None:
        return None
    try:
        number = int(text)
    except ValueError:
        number = least - 1
    if number < least:
        raise InvalidField(f"Invalid value for `{name}`: expected an integer, {least} or more.", param=name)
    return number


def number(form: Form, name: str) -> float | None:
    """Raises InvalidField."""
    text = form.text(name)
    if text is None:
        return None
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not math.isfinite(found):
        raise InvalidField(f"Invalid value for `{name}`: expected a number.", param=name)
    return found


def flag(form: Form, name: str) -> bool:
    """False where it is not there. Raises InvalidField."""
    text = form.text(name)
    if text is None:
        return False
    found = _TRUE.get(text.lower())
    if found is None:
        raise InvalidField(f"Invalid value for `{name}`: expected true or false.", param=name)
    return found


def choice(form: Form, name: str, words: Collection[str]) -> str | None:
    """One of some words. Raises InvalidField."""
    text = form.text(name)
    if text is not None and text not in words:
        raise InvalidField(f"Invalid value for `{name}`: expected one of {', '.join(words)}.", param=name)
    return text


def files(form: Form, name: str, *, most: int) -> list[FormPart]:
    """Files of that name, none of them empty. Raises InvalidField."""
    found = form.named(name)
    if len(found) > most:
        raise InvalidField(f"The field `{name}` holds {len(found)} files: {most} may be sent.", param=name)
    for part in found:
        if part.filename is None:
            raise InvalidField(
                f"The field `{name}` is no file: send it with a filename (in curl: -F {name}=@path).",
                param=name,
            )
        if part.start == part.end:
            raise InvalidField(f"The file in `{name}` is empty.", param=name)
    return found


def needed_files(form: Form, name: str, *, most: int) -> list[FormPart]:
    """The same where one has to be there."""
    found = files(form, name, most=most)
    if not found:
        raise _missing(name, "a file")
    return found


def hints_of(form: Form) -> tuple[bool, dict[str, str] | None]:
    """Whether the form speaks to the gateway itself under `aspendos`, as JSON, and the tags it says there."""
    text = form.text("aspendos")
    if text is None:
        return False, None
    try:
        return True, tags_of(_hints.decode(text))
    except msgspec.DecodeError:
        raise InvalidField(
            'Invalid value for `aspendos`: expected JSON such as {"tags": {"project": "atlas"}}.',
            param="aspendos",
        ) from None


def _missing(name: str, what: str) -> InvalidField:
    return InvalidField(
        f"Missing required field `{name}`: the form has to hold {what} of that name.",
        param=name,
        code="missing_field",
    )
