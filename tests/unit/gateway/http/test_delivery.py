"""How much of a stream has left, from marks made on the way."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.edge.outlet import Progress
from gateway.http.delivery import Delivery


def test_a_client_that_has_read_everything_has_had_everything() -> None:
    assert Delivery().left(Progress(1_200, 1_200), events=10, size=1_000) == 10


def test_a_short_stream_without_marks_is_taken_to_be_even() -> None:
    assert Delivery().left(Progress(1_200, 700), events=10, size=1_000) == 5


def test_nothing_of_a_stream_has_left_behind_an_earlier_answer_that_waits() -> None:
    assert Delivery().left(Progress(50_000, 3_000), events=10, size=1_000) == 0


def test_events_are_those_between_the_marks_where_the_bytes_were() -> None:
    delivery = Delivery()
    delivery.mark(Progress(40_000, 40_000), events=2, size=39_000)  # two long ones first
    delivery.mark(Progress(50_000, 40_000), events=102, size=49_000)
    assert delivery.left(Progress(60_000, 45_050), events=202, size=59_000) == 52
    assert delivery.left(Progress(60_000, 45_149), events=202, size=59_000) == 53


def test_a_part_of_an_event_has_not_left() -> None:
    delivery = Delivery()
    delivery.mark(Progress(1_000, 1_000), events=10, size=1_000)
    assert delivery.left(Progress(1_100, 1_099), events=11, size=1_100) == 10


def test_what_a_broken_connection_forgot_is_remembered() -> None:
    delivery = Delivery()
    delivery.mark(Progress(100_000, 50_000), events=100, size=100_000)
    assert delivery.left(Progress(60_000, 50_000), events=100, size=100_000) == 50


def test_a_stream_that_has_said_nothing_has_no_events() -> None:
    assert Delivery().left(Progress(300, 0), events=0, size=0) == 0


events = st.lists(st.tuples(st.integers(20, 500), st.booleans()), min_size=1, max_size=60)


@given(before=st.integers(0, 5_000), events=events, waiting=st.integers(0, 4_000))
def test_with_a_mark_at_every_event_none_counts_that_has_not_left(
    before: int, events: list[tuple[int, bool]], waiting: int
) -> None:
    """Whatever was taken in the meantime, and whenever a look was taken."""
    delivery = Delivery()
    delivery.mark(Progress(before, before), events=0, size=0)
    written, left, ends = before, before, list[int]()
    for size, taken in events:
        written += size
        ends.append(written)
        left = max(left, written - waiting) if taken else left
        delivery.mark(Progress(written, left), events=len(ends), size=written - before)
    whole = sum(end <= left for end in ends)
    assert delivery.left(Progress(written, left), events=len(ends), size=written - before) == whole


def test_of_a_quick_reader_no_more_than_two_marks_are_kept() -> None:
    delivery = Delivery()
    for step in range(1, 1_000):
        delivery.mark(Progress(step * 32_768, step * 32_768 - 100), events=step, size=step * 32_768)
    assert len(delivery._marks) == 2  # pyright: ignore[reportPrivateUsage] - memory is what this is about
