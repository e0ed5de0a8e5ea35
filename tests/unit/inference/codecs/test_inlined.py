"""Files in base64 inside of JSON: the same text, whether they are held or not."""

import base64
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from inference.codecs.inlined import Base64, Inlined
from inference.ir.bulk import Bulk
from tests.bulk import FakeBulk, all_of


@given(st.lists(st.binary(max_size=40), max_size=4), st.text(), st.integers(1, 7))
async def test_the_same_text_held_or_not(files: list[bytes], said: str, piece: int) -> None:
    def written(data: list[Any]) -> object:
        return {
            "prompt": said,
            "own": Raw(json.dumps(said).encode()),
            "files": [inlined.value(each, "data:a/b;base64,") for each in data],
        }

    inlined = Inlined()
    expected = inlined.written(written(list(files)))
    inlined = Inlined()
    bulks: list[Bulk] = [FakeBulk(each, piece) for each in files]
    assert await all_of(inlined.written(written(bulks))) == expected


async def test_base64_is_told_its_length_and_written_again() -> None:
    for size in range(9):
        text = Base64(FakeBulk(bytes(range(size)), 2))
        for _ in range(2):
            assert await all_of(text) == base64.b64encode(bytes(range(size)))


async def test_nothing_is_read_before_it_is_sent() -> None:
    bulk = FakeBulk(b"x" * 10_000)
    inlined = Inlined()
    assert not isinstance(inlined.written([inlined.value(bulk)]), bytes)
    assert bulk.most == 0
