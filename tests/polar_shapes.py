"""Polar's requests and answers as the official SDK's types have them: inputs strictly, answers completely."""

import dataclasses
import types
import typing
from typing import Any, Literal, Union, get_args, get_origin

import typing_extensions

Fields = dict[str, Any]


class Refused(Exception):
    """A status and what the body says."""

    def __init__(self, status: int, error: str, detail: object) -> None:
        super().__init__(str(detail))
        self.status, self.body = status, {"error": error, "detail": detail}


def check(value: object, hint: Any, where: str = "body") -> None:
    """Raises Refused 422 for what a TypedDict of the SDK's does not have, lacks, or has otherwise."""
    origin = get_origin(hint)
    if origin in (typing_extensions.NotRequired, typing_extensions.Required):
        return check(value, get_args(hint)[0], where)
    if origin in (Union, types.UnionType):
        troubles: list[Refused] = []
        for one in get_args(hint):
            try:
                return check(value, one, where)
            except Refused as error:
                troubles.append(error)
        raise troubles[0]
    if hint is Any:
        return None
    fits = True
    if origin is Literal:
        fits = value in get_args(hint)
    elif typing_extensions.is_typeddict(hint):
        _check_fields(value, hint, where)
    elif origin is list:
        fits = isinstance(value, list)
        for at, item in enumerate(value if isinstance(value, list) else []):  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]  # JSON
            check(item, get_args(hint)[0], f"{where}.{at}")  # pyright: ignore[reportUnknownArgumentType]  # JSON
    elif origin is dict:
        fits = isinstance(value, dict)
    elif hint is type(None):
        fits = value is None
    else:
        fits = isinstance(value, hint) and not (hint is not bool and isinstance(value, bool))
    if not fits:
        raise invalid(where, "wrong kind of value")
    return None


def _check_fields(value: object, hint: Any, where: str) -> None:
    if not isinstance(value, dict):
        raise invalid(where, "an object was expected")
    hints = typing_extensions.get_type_hints(hint, include_extras=True)
    for name, held in typing.cast("Fields", value).items():
        if name not in hints and hint.__name__ == "EventMetadataInput":
            continue  # any key besides those that mean something to Polar
        if name not in hints:
            raise invalid(f"{where}.{name}", "extra fields not permitted")
        check(held, hints[name], f"{where}.{name}")
    for name, wanted in hints.items():
        if name not in value and get_origin(wanted) is not typing_extensions.NotRequired:
            raise invalid(f"{where}.{name}", "field required")


def invalid(where: str, said: str) -> Refused:
    """Polar's way of saying what is wrong with a field."""
    return Refused(
        422, "RequestValidationError", [{"loc": where.split("."), "msg": said, "type": "value_error"}]
    )


def full(kind: Any, **known: object) -> Fields:
    """An answer with every field the SDK's class has; what is not named is null, empty or zero."""
    hints = typing.get_type_hints(kind)
    unknown = known.keys() - hints.keys()
    assert not unknown, f"{kind.__name__} has no {unknown}"
    return {name: known[name] if name in known else _empty(hint) for name, hint in hints.items()}


def _empty(hint: Any) -> object:
    origin, parts = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return None if type(None) in parts else _empty(parts[0])
    if origin is Literal:
        return parts[0]
    if dataclasses.is_dataclass(hint):
        return full(hint)
    blank: dict[object, object] = {
        list: list[object](),
        dict: Fields(),
        bool: False,
        int: 0,
        str: "",
        float: 0.0,
    }
    return blank.get(origin or hint)


def part(kind: Any, whole: Fields) -> Fields:
    """A smaller view of an object."""
    hints = typing.get_type_hints(kind)
    return full(kind, **{name: value for name, value in whole.items() if name in hints})
