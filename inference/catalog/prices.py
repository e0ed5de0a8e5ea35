"""Prices of config/models.yaml, from what is written to what is charged. Pure; refuses a price that charges nothing.

Which figures make a price depends on the kind of model: a figure that a kind's calls are never counted by would let
them through for nothing.
"""

import hashlib
from typing import NamedTuple

from msgspec import UNSET, UnsetType

from inference.catalog.figures import Usd
from inference.catalog.model_entry import PriceEntry
from inference.ir.cards import Kind, Price

_INPUT = ("cache_read", "cache_write", "cache_write_1h", "audio_input", "image_input")
_OUTPUT = ("reasoning", "audio_output", "image_output")
_TEXT = ("input", "output", "cache_read", "cache_write", "reasoning")
_UNITS = ("per_image", "per_million_characters", "per_search")
_SECONDS_PER_HOUR = 3_600

_SUFFICIENT: dict[Kind, tuple[tuple[str, ...], ...]] = {
    Kind.CHAT: (("input", "output"),),
    Kind.VIDEO: (("input", "output"),),
    Kind.EMBEDDING: (("input",),),
    Kind.MODERATION: (("input",),),
    Kind.CLASSIFICATION: (("input",),),
    Kind.RERANK: (("per_search",), ("input",)),
    Kind.SPEECH: (("per_million_characters",), ("audio_output",), ("output",)),
    Kind.TRANSCRIPTION: (
        ("per_second",),
        ("per_hour",),
        ("input", "output"),
        ("audio_input", "output"),
    ),
    Kind.IMAGE: (("per_image",), ("image_output",), ("output",)),
    Kind.TRANSLATION: (("per_million_characters",),),
}
"""By kind, the sets of figures any of which is a price."""


class Fault(NamedTuple):
    """What is wrong with a price: `field` None: with all of it."""

    field: str | None
    found: str
    expected: str


def price_of(given: PriceEntry | None) -> Price:
    """What is charged; None: nothing."""
    entry = given or PriceEntry()
    parts = {name: _figure(getattr(entry, name)) for name in (*_INPUT, *_OUTPUT)}
    text = {
        "input": _whole(entry.input, [parts[name] for name in _INPUT]),
        "output": _whole(entry.output, [parts[name] for name in _OUTPUT]),
    }
    hour = _figure(entry.per_hour) or (_figure(entry.per_second) or 0) * _SECONDS_PER_HOUR
    units = {name: _figure(getattr(entry, name)) or 0 for name in _UNITS} | {"per_hour": hour}
    sold = {name: figure for name, figure in units.items() if figure}
    return Price(**text, **parts, **units, version=_version(text | parts | sold))


def price_fault(kind: Kind, given: PriceEntry, *, free: bool) -> Fault | None:
    """Why this cannot be the price of a model of this kind; None: it can."""
    price = price_of(given)
    charges = any(getattr(price, name) for name in Price.__struct_fields__ if name != "version")
    if free:
        return Fault(None, "a price above 0 beside `free: true`", "one or the other") if charges else None
    if not charges:
        return Fault(None, "nothing above 0", "a price, or `free: true` if that is meant")
    fault = cost_fault(kind, given)
    if fault is None and not any(getattr(given, name) for choice in _given(kind, given) for name in choice):
        return Fault(None, "0 for all that its calls are counted by", _words(kind))
    return fault


def cost_fault(kind: Kind, given: PriceEntry) -> Fault | None:
    """Why this cannot be what a target of this kind costs; 0 can."""
    if given.per_second is not UNSET and given.per_hour is not UNSET:
        return Fault("per_hour", "it beside `per_second`", "one or the other")
    if _given(kind, given):
        return None
    if len(_SUFFICIENT[kind]) > 1 or "input" not in _SUFFICIENT[kind][0]:
        return Fault(None, "nothing that its calls are counted by", _words(kind))
    if given.input is UNSET:
        return Fault("input", "nothing", Usd.expected)
    return Fault("output", "nothing", "a price: this kind of model writes tokens")


def dearer(cost: Price, price: Price) -> bool:
    """Whether any of what `price` charges costs more than that."""
    for name in Price.__struct_fields__:
        if name != "version" and 0 < (getattr(price, name) or 0) < (getattr(cost, name) or 0):
            return True
    return False


def _figure(given: int | UnsetType) -> int | None:
    return None if isinstance(given, UnsetType) else int(given)


def _whole(given: int | UnsetType, parts: list[int | None]) -> int:
    """Never below a part that was given: a token nobody says more of is not given away."""
    return max((part or 0 for part in parts), default=0) if isinstance(given, UnsetType) else int(given)


def _given(kind: Kind, given: PriceEntry) -> list[tuple[str, ...]]:
    """The sets of figures that are there in full."""
    return [
        choice for choice in _SUFFICIENT[kind] if all(getattr(given, name) is not UNSET for name in choice)
    ]


def _words(kind: Kind) -> str:
    *others, last = (" and ".join(f"`{name}`" for name in choice) for choice in _SUFFICIENT[kind])
    choices = f"{', '.join(others)} or {last}" if others else last
    return f"{choices}: what a model of kind `{kind}` is sold by"


def _version(figures: dict[str, int | None]) -> str:
    """A digest of the figures. A price of nothing but text keeps the name that older records call it by."""
    text = [figures[name] for name in _TEXT]
    more = [(name, each) for name, each in figures.items() if name not in _TEXT and each is not None]
    return hashlib.sha256(repr((*text, *more)).encode()).hexdigest()[:12]
