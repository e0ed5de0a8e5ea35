"""Cards: what cannot be said on one."""

from typing import Any

import pytest
from msgspec.structs import replace

from inference.ir.cards import Price

FIGURES = [name for name in Price.__struct_fields__ if name != "version"]


@pytest.mark.parametrize("name", FIGURES)
def test_no_figure_of_a_price_is_negative(name: str) -> None:
    free = Price(input=0, output=0, version="v")
    assert getattr(replace(free, **{name: 1}), name) == 1
    with pytest.raises(ValueError, match="negative figure"):
        replace(free, **{name: -1})
    made: dict[str, Any] = {"input": 0, "output": 0, "version": "v", name: -1}
    with pytest.raises(ValueError, match="negative figure"):
        Price(**made)
