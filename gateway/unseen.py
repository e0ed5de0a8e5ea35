"""Unseen: fields that a model is never to see are taken out of a request before anybody reads it. Pure."""

from inference.codecs.body import decode_fields, encode_fields
from inference.codecs.form import patched, read_form
from inference.ir.errors import InvalidField


def body_without(body: bytes, unseen: frozenset[str]) -> tuple[bytes, tuple[str, ...]]:
    """The body less the fields a model is never to see, and their names."""
    fields = decode_fields(body)
    gone = tuple(sorted(unseen & fields.keys()))
    if not gone:
        return body, ()
    return encode_fields({name: value for name, value in fields.items() if name not in gone}), gone


def form_without(body: bytes, unseen: frozenset[str]) -> tuple[bytes, tuple[str, ...]]:
    """The same for a form."""
    form = read_form(body)
    gone = tuple(sorted(unseen & {part.name.removesuffix("[]") for part in form.parts}))
    return (patched(form, {}, without=unseen), gone) if gone else (body, ())


def check_allowed(gone: tuple[str, ...], *, strict: bool) -> None:
    """Raises InvalidField where something is left out and the request is `strict`."""
    if gone and strict:
        raise InvalidField(
            f"The model is set to leave out {', '.join(gone)}, and `x-aspendos-strict` allows nothing to be left out. "
            "Leave those out yourself, or ask without it.",
            param=gone[0],
            code="not_translatable",
        )
