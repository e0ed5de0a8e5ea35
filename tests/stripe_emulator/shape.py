"""Answers held against the SDK's own classes: no field it does not know, and null for optional ones left out."""

from typing import Any, Union, get_args, get_origin

from stripe import StripeObject
from stripe._object_classes import get_object_class


def shaped(value: Any) -> Any:
    """The answer, complete. Raises AssertionError for a field that Stripe's objects do not have."""
    if isinstance(value, list):
        return [shaped(item) for item in value]  # pyright: ignore[reportUnknownVariableType]  # from Any
    if not isinstance(value, dict):
        return value
    fields: dict[str, Any] = {str(name): shaped(part) for name, part in value.items()}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]  # from Any
    kind = fields.get("object")
    if not isinstance(kind, str) or kind == "list":
        return fields
    known = _fields(get_object_class("V1", kind))
    if not known:
        raise AssertionError(f"Stripe has no object {kind!r}")
    unknown = fields.keys() - known
    if unknown:
        raise AssertionError(f"a {kind} has no {', '.join(sorted(unknown))}")
    for name, hint in known.items():
        if name not in fields and name != "deleted" and _optional(hint):
            fields[name] = None
    return fields


def _fields(kind: type[StripeObject]) -> dict[str, Any]:
    return {} if kind is StripeObject else dict(kind.__annotations__)


def _optional(hint: Any) -> bool:
    return get_origin(hint) is Union and type(None) in get_args(hint)
