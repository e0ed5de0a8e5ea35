"""Dimensions: what records can be grouped by, in words, in SQL and as labels."""

from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

from msgspec import Struct
from sqlalchemy import ColumnElement

from billing.reporting.calendar import Calendar, day_label, hour_label, month_label
from billing.reporting.documents import tag_name, tag_value
from billing.tables import usage_records
from inference.ir.errors import InvalidField

_t = usage_records.c


class Dimension(StrEnum):
    """Hours, days and months are those of the report's time zone."""

    ORGANISATION = "organisation"
    TEAM = "team"
    USER = "user"
    KEY = "key"
    MODEL = "model"
    PROVIDER = "provider"
    TIER = "tier"
    FEATURE = "feature"
    PRICE_VERSION = "price_version"
    HOUR = "hour"
    DAY = "day"
    MONTH = "month"


class Tag(Struct, frozen=True):
    """The values of one tag. Written `tag:project`."""

    name: str

    def __str__(self) -> str:
        return f"tag:{self.name}"


By = Dimension | Tag

TIMES = frozenset({Dimension.HOUR, Dimension.DAY, Dimension.MONTH})
"""These need a Calendar."""

WORDS = ", ".join((*Dimension, "tag:<name>"))

_COLUMNS: dict[Dimension, ColumnElement[Any]] = {
    Dimension.ORGANISATION: _t.org_id,
    Dimension.TEAM: _t.team_id,
    Dimension.USER: _t.user_id,
    Dimension.KEY: _t.key_id,
    Dimension.MODEL: _t.model,
    Dimension.PROVIDER: _t.provider,
    Dimension.TIER: _t.tier,
    Dimension.FEATURE: _t.feature,
    Dimension.PRICE_VERSION: _t.price_version,
}


def dimension(text: str, *, param: str = "group_by") -> By:
    """`team`, `month`, `tag:project`, ... Raises InvalidField, naming all there are."""
    if text.startswith("tag:"):
        return Tag(tag_name(text.removeprefix("tag:"), param=param))
    try:
        return Dimension(text)
    except ValueError as error:
        raise InvalidField(
            f"{param}: expected a comma list of {WORDS}; got {text[:80]!r}", param=param
        ) from error


def expression(by: By, calendar: Calendar) -> ColumnElement[Any]:
    """What to group by in SQL."""
    if isinstance(by, Tag):
        return tag_value(by.name)
    if by is Dimension.HOUR:
        return calendar.hour()
    if by is Dimension.DAY:
        return calendar.day()
    return calendar.month() if by is Dimension.MONTH else _COLUMNS[by]


def label(by: By, value: Any, zone: ZoneInfo) -> str | None:
    """What the database found, as it is shown; None: not known."""
    if by is Dimension.HOUR:
        return hour_label(int(value), zone)
    if by is Dimension.DAY:
        return day_label(int(value))
    return month_label(int(value)) if by is Dimension.MONTH else value
