"""What a draw gives, of what it found: wishes, answers, and who has a claim on what is ahead."""

import pytest

from gateway.database.allotment_draw import Found, Standing, serve
from policies.stores.depot import Bid, Drawn, Kind, Want

NOW = 1_000_000_000


def draw(standing: Standing, want: Want, balance: int = 100) -> tuple[Drawn, Found, dict[str, object] | None]:
    found = Found(NOW, 2, {want.counter: standing}, {want.counter: balance})
    noted: dict[str, dict[str, object]] = {}
    (drawn,) = serve(Bid((want,)), "me", found, noted)
    return drawn, found, noted.get(want.counter)


def wanting(short: int, *, share: int = 0, asked: int = 0) -> Want:
    return Want("f/a", Kind.FUND, share, short, part=2, asked=asked)


def test_what_is_free_is_given_and_some_ahead_unless_another_lacks_it() -> None:
    drawn, found, row = draw(Standing(), wanting(4))
    assert (drawn.granted, found.wished) == (25, False)
    assert row is not None and row["answered_at"] == 0
    pressed, _, _ = draw(Standing(others=10, answers=[0], pressed=True), wanting(4))
    assert pressed.granted == 4


@pytest.mark.parametrize("answer", [0, NOW - 5, NOW + 9])
def test_a_wish_is_never_older_than_the_answers_there_are(answer: int) -> None:
    """Whichever way the clock was set in between."""
    drawn, found, row = draw(Standing(others=80, answers=[answer]), wanting(30))
    assert (drawn.granted, drawn.free, drawn.contested, found.wished) == (0, 20, True, True)
    assert drawn.asked == max(NOW, answer)
    assert row is not None and row["wanted_at"] == drawn.asked


def test_it_is_contested_until_the_last_of_the_others_has_answered() -> None:
    asked = NOW - 50
    wished = Standing(others=80, answers=[NOW, asked - 1], wanted_at=asked)
    drawn, found, row = draw(wished, wanting(30, asked=asked))
    assert drawn.contested and not found.wished and row is None
    drawn, _, _ = draw(Standing(others=80, answers=[NOW, asked + 1]), wanting(30, asked=asked))
    assert not drawn.contested


def test_a_wish_nobody_answers_is_repeated_after_a_second() -> None:
    asked = NOW - 1_500_000
    drawn, found, _ = draw(Standing(others=80, answers=[0], wanted_at=asked), wanting(30, asked=asked))
    assert drawn.contested and found.wished and drawn.asked == asked


def test_nothing_is_wished_for_where_nobody_has_any() -> None:
    drawn, found, _ = draw(Standing(), wanting(101))
    assert not drawn.contested and not found.wished
