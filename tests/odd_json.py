"""Odd JSON: documents that are mostly as they should be, for whoever reads the usual ones by a way of their own."""

import json
from collections.abc import Callable
from typing import Any, TypeVar

import pytest
from hypothesis import strategies as st

from inference.ir.errors import AspendosError

TEXT = st.text(max_size=8)
ODD = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), TEXT, st.just([]), st.just({})
)
_Read = TypeVar("_Read")


def may_be(usual: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Mostly what it should be."""
    return st.one_of(usual, usual, usual, ODD)


def any_of(*names: str) -> dict[Any, st.SearchStrategy[Any]]:
    """Fields of which nothing is known, for `optional` of `fixed_dictionaries`."""
    return dict.fromkeys(names, ODD)


def read_alike(
    document: dict[str, Any], plain: Callable[[bytes], _Read | None], whole: Callable[[bytes], _Read]
) -> None:
    """What is read in one go is what is read field by field; what is refused there is not read here."""
    for ascii_only in (True, False):
        body = json.dumps(document, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
        found = plain(body)
        if found is None:
            continue
        try:
            expected = whole(body)
        except AspendosError as error:
            pytest.fail(f"read, though it is refused: {error.message}")
        assert found == expected
