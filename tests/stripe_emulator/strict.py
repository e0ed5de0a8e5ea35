"""Parameters held against the SDK's own types, which are generated from Stripe's OpenAPI description.

What those types do not know is refused as Stripe refuses it; so are missing parameters and wrong kinds.
"""

import re
import types
from typing import Any, Literal, Union, get_args, get_origin

import typing_extensions
from stripe import RequestOptions

_OPTIONS = frozenset(RequestOptions.__annotations__)
_UNIMPORTED = {"StripeContext": object, "Mapping": dict}
"""What the SDK's types name without importing it."""

_WRAPPERS = (typing_extensions.NotRequired, typing_extensions.Required)


class Refused(Exception):
    """An answer that is an error: status and the `error` object's fields."""

    def __init__(self, status: int, type_: str, message: str, **fields: Any) -> None:
        super().__init__(message)
        self.status = status
        self.error = {"type": type_, "message": message, **fields}


def invalid(message: str, **fields: Any) -> Refused:
    return Refused(400, "invalid_request_error", message, **fields)


def checked(params: dict[str, Any], kind: type, where: str = "") -> dict[str, Any]:
    """The parameters with whole numbers and booleans as such. Raises Refused."""
    hints = typing_extensions.get_type_hints(kind, localns=_UNIMPORTED)
    allowed = {name: hint for name, hint in hints.items() if name not in _OPTIONS}
    read: dict[str, Any] = {}
    for name, value in params.items():
        shown = f"{where}[{name}]" if where else name
        if name not in allowed:
            raise invalid(f"Received unknown parameter: {shown}", code="parameter_unknown", param=shown)
        read[name] = _value(value, allowed[name], shown)
    required: frozenset[str] = getattr(kind, "__required_keys__", frozenset[str]())
    for name in sorted(required - _OPTIONS):
        if name not in read:
            shown = f"{where}[{name}]" if where else name
            raise invalid(f"Missing required param: {shown}.", code="parameter_missing", param=shown)
    return read


def _value(value: Any, hint: Any, where: str) -> Any:
    origin = get_origin(hint)
    if origin in _WRAPPERS:
        return _value(value, get_args(hint)[0], where)
    if origin in (Union, types.UnionType):
        return _first(value, get_args(hint), where)
    if origin is Literal:
        if value not in get_args(hint):
            raise invalid(
                f"Invalid {where}: must be one of {', '.join(map(str, get_args(hint)))}", param=where
            )
        return value
    if origin is list:
        if not isinstance(value, list):
            raise invalid("Invalid array", code="parameter_invalid_empty", param=where)
        return [_value(item, get_args(hint)[0], f"{where}[{at}]") for at, item in enumerate(value)]  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]  # from Any
    if origin is dict:
        if not isinstance(value, dict):
            raise invalid("Invalid object", param=where)
        return {str(k): _value(v, get_args(hint)[1], f"{where}[{k}]") for k, v in value.items()}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]  # from Any
    if typing_extensions.is_typeddict(hint):
        if not isinstance(value, dict):
            raise invalid(f"Invalid object: {where}", param=where)
        return checked(value, hint, where)  # pyright: ignore[reportUnknownArgumentType]  # from Any
    return _leaf(value, hint, where)


def _leaf(value: Any, hint: Any, where: str) -> Any:
    if not isinstance(value, str):
        raise invalid(f"Invalid string: {where}", param=where)
    if hint is bool:
        if value not in ("true", "false"):
            raise invalid(f"Invalid boolean: {value}", param=where)
        return value == "true"
    if hint is int:
        if re.fullmatch(r"-?\d{1,18}", value) is None:
            raise invalid(f"Invalid integer: {value}", code="parameter_invalid_integer", param=where)
        return int(value)
    return value


def _first(value: Any, hints: tuple[Any, ...], where: str) -> Any:
    """What the first fitting alternative makes of it; open enumerations are `Literal[…] | str` in the SDK."""
    if bool in hints and value in ("true", "false"):
        return value == "true"
    literals = [item for item in hints if get_origin(item) is Literal]
    if literals and isinstance(value, str) and str in hints:
        # Stripe refuses words outside its enumerations; `str` is there for words newer than the SDK.
        return _value(value, literals[0], where)
    trouble: Refused | None = None
    for hint in hints:
        if getattr(hint, "__name__", "") == "UntypedStripeObject" or hint is type(None):
            continue
        if getattr(get_origin(hint), "__name__", "") == "UntypedStripeObject":
            continue
        try:
            return _value(value, hint, where)
        except Refused as error:
            trouble = error
    raise trouble or invalid(f"Invalid {where}", param=where)
