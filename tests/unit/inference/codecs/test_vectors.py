"""Vectors packed and unpacked."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw
from msgspec.json import encode

from inference.codecs.vectors import packed, unpacked
from inference.ir.errors import UpstreamGarbled


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False)))
def test_32_bits_survive_both_ways(numbers: list[float]) -> None:
    assert unpacked(packed(Raw(encode(numbers)))) == numbers


def test_the_bytes_are_little_endian() -> None:
    assert packed(Raw(b"[1, 0.5]")) == "AACAPwAAAD8="


@pytest.mark.parametrize("vector", [b"{}", b'["a"]', b"[1", b"[null]"])
def test_what_is_no_vector_is_not_packed(vector: bytes) -> None:
    with pytest.raises(UpstreamGarbled):
        packed(Raw(vector))


@pytest.mark.parametrize("text", ["AACAPw", "AACA", "?", "AACAPw==AA"])
def test_what_is_not_packed_is_not_unpacked(text: str) -> None:
    with pytest.raises(UpstreamGarbled):
        unpacked(text)
