"""Untold: fields of a request that a format has no word for, looked for all at once. Pure."""

from collections.abc import Mapping
from operator import attrgetter

from inference.ir.chat import ChatRequest


class Untold:
    """Names those that a request says, in the client's words."""

    __slots__ = ("_names", "_nothing", "_values")

    def __init__(self, fields: Mapping[str, str]) -> None:
        """`fields`: neutral names, two at least, and the client's."""
        self._names = tuple(fields.values())
        self._values = attrgetter(*fields)
        self._nothing = (None,) * len(fields)

    def names(self, asked: ChatRequest) -> list[str]:
        """Those that are said."""
        values = self._values(asked)
        if values == self._nothing:
            return []
        return [name for name, value in zip(self._names, values, strict=True) if value is not None]
