"""Bytes and bulk one after another."""

from inference.codecs.row import Row, held, joined
from tests.bulk import FakeBulk, all_of


async def test_a_row_is_sent_as_if_it_were_one_as_often_as_it_is_asked_for() -> None:
    row = Row([b"a", b"", b"b", FakeBulk(b"c" * 5000), b"d", Row([b"e"])])
    assert len(row) == 5004
    for _ in range(2):
        assert await all_of(row) == b"ab" + b"c" * 5000 + b"de"


async def test_small_pieces_are_sent_together_and_large_ones_are_not_copied() -> None:
    large = b"x" * 100_000
    pieces = [piece async for piece in Row([b"a", b"b", large, b"c", b"d"]).flow()]
    assert pieces == [b"ab", large, b"cd"]
    assert pieces[1] is large


async def test_what_can_be_held_is() -> None:
    assert joined([b"a", b"b"]) == b"ab"
    bulk = FakeBulk(b"b")
    mixed = joined([b"a", bulk])
    assert await all_of(mixed) == b"ab"
    assert held(b"a") == (b"a", None)
    assert held(bulk) == (b"", bulk)
