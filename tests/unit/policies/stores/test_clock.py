"""The steady clock does not follow a wall clock that is turned."""

from policies.stores.clock import steady


def test_a_stepped_wall_clock_changes_nothing() -> None:
    wall, passed = [1_000.0], [5.0]
    clock = steady(lambda: wall[0], lambda: passed[0])
    assert clock() == 1_000.0
    wall[0], passed[0] = 10.0, 6.5
    assert clock() == 1_001.5
