"""Text to filter, and a clear answer to what is no filter."""

from zoneinfo import ZoneInfo

import pytest

from billing.filters import dimensions, usage_filter
from billing.reporting.dimensions import Dimension, Tag
from billing.reporting.selection import UsageFilter
from inference.ir.errors import InvalidField

JANUARY = 1_767_225_600_000_000_000
"""2026-01-01T00:00:00Z in unix ns."""
HOUR = 3_600_000_000_000


def test_nothing_asked_is_everything() -> None:
    assert usage_filter({}) == UsageFilter()


def test_names_are_taken_as_they_are() -> None:
    given = {"team": "t", "key": "k", "model": "m/x", "provider": "p"}
    assert usage_filter(given) == UsageFilter(team="t", key="k", model="m/x", provider="p")


@pytest.mark.parametrize(
    ("text", "expected"),
    [("429", (429, 429)), ("5xx", (500, 599)), ("4XX", (400, 499)), ("ok", (0, 399)), ("error", (400, 999))],
)
def test_status(text: str, expected: tuple[int, int]) -> None:
    assert usage_filter({"status": text}).status == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-01", JANUARY),
        ("2026-01-01T00:00", JANUARY),
        ("2026-01-01T02:00:00+02:00", JANUARY),
        ("2026-01-01T02:00:00 02:00", JANUARY),
        ("2025-12-31T19:00:00-05:00", JANUARY),
        ("2026-01-01T01:00:00Z", JANUARY + HOUR),
        ("2026-01-01T00:00:00.000001Z", JANUARY + 1000),
        ("1767225600", JANUARY),
    ],
)
def test_moments(text: str, expected: int) -> None:
    assert usage_filter({"from": text}).start == expected
    assert usage_filter({"to": text}).end == expected


@pytest.mark.parametrize(
    ("given", "word"),
    [
        ({"month": "2026-1"}, "month"),
        ({"month": "0001-01"}, "month"),
        ({"month": "2026-01", "to": "2026-02-01"}, "month"),
        ({"user": "a\udc80"}, "user"),
        ({"tema": "x"}, "tema"),
        ({"team": "a\x00b"}, "team"),
        ({"status": "bad"}, "status"),
        ({"status": "4"}, "status"),
        ({"status": "9xx"}, "status"),
        ({"status": "²²²"}, "status"),
        ({"from": "yesterday"}, "from"),
        ({"from": "2026-13-01"}, "from"),
        ({"from": ""}, "from"),
        ({"to": "1969-12-31"}, "to"),
        ({"to": "2300-01-01"}, "to"),
        ({"from": "0001-01-01T00:00:00+14:00"}, "from"),
        ({"from": "2026-01-02", "to": "2026-01-01"}, "to"),
        ({"from": "2026-01-02", "to": "2026-01-02"}, "to"),
    ],
)
def test_mistakes_name_the_field(given: dict[str, str], word: str) -> None:
    with pytest.raises(InvalidField, match=f"^{word}: ") as caught:
        usage_filter(given)
    assert caught.value.param == word


def test_dimensions() -> None:
    assert dimensions(None) == dimensions("") == ()
    assert dimensions("day, team,day") == (Dimension.DAY, Dimension.TEAM)
    with pytest.raises(
        InvalidField, match=r"^group_by: .*organisation, team, user, key, .*tag:<name>.*'week'"
    ):
        dimensions("week")


def test_tags() -> None:
    assert usage_filter({}, tags=["project=a=b", "p.q-r_s= x"]).tags == (
        ("project", "a=b"),
        ("p.q-r_s", " x"),
    )
    assert dimensions("tag:project,team") == (Tag("project"), Dimension.TEAM)
    for bad in (["project"], ["a b=c"], ["'=c"], ["=c"], ["a=\x00"], [f"t{n}=x" for n in range(17)]):
        with pytest.raises(InvalidField, match=r"^tag: ") as caught:
            usage_filter({}, tags=bad)
        assert caught.value.param == "tag"
    for bad in ("tag:", "tag:a'b", 'tag:a"b', "tag:" + "x" * 65):
        with pytest.raises(InvalidField, match=r"^group_by: "):
            dimensions(bad)


def test_dates_and_months_are_of_the_zone() -> None:
    istanbul = ZoneInfo("Europe/Istanbul")
    expected = UsageFilter(start=JANUARY - 3 * HOUR, end=JANUARY + (31 * 24 - 3) * HOUR)
    assert usage_filter({"month": "2026-01"}, zone=istanbul) == expected
    assert usage_filter({"from": "2026-01-01", "to": "2026-02-01"}, zone=istanbul) == expected
    assert usage_filter({"from": "2026-01-01T00:00Z"}, zone=istanbul).start == JANUARY
    berlin = usage_filter({"month": "2026-03"}, zone=ZoneInfo("Europe/Berlin"))
    assert berlin.start is not None and berlin.end is not None
    assert berlin.end - berlin.start == (31 * 24 - 1) * HOUR, "an hour is skipped"
