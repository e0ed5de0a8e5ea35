"""Documents: one tag out of a record's JSON, on either database. Refuses names that are no tag's."""

import re
from typing import Any

from sqlalchemy import ColumnElement, Text
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler

from billing.tables import usage_records
from inference.ir.errors import InvalidField

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.\-]{0,63}", re.ASCII)


def tag_name(text: str, *, param: str) -> str:
    """A tag's name as it was written. Raises InvalidField."""
    if _NAME.fullmatch(text) is None:
        raise InvalidField(
            f"{param}: expected a tag's name of up to 64 letters, digits, `_`, `.` and `-`; got {text[:64]!r}",
            param=param,
        )
    return text


class _TagValue(ColumnElement[str]):
    """`tags` at one name: text, or NULL where a record lacks the tag."""

    inherit_cache = False
    type = Text()

    def __init__(self, name: str) -> None:
        self.tag = tag_name(name, param="tag")


def tag_value(name: str) -> ColumnElement[str]:
    """The tag's value in SQL. The name stands in it as it is, which `tag_name` has made sure is harmless:
    PostgreSQL takes two parameters of one value for two different expressions, and could not group by them."""
    return _TagValue(name)


@compiles(_TagValue)
def _in_sqlite(element: _TagValue, compiler: SQLCompiler, **options: Any) -> str:  # pyright: ignore[reportUnusedFunction] - SQLAlchemy calls it
    return f"json_extract({compiler.process(usage_records.c.tags, **options)}, '$.\"{element.tag}\"')"


@compiles(_TagValue, "postgresql")
def _in_postgres(element: _TagValue, compiler: SQLCompiler, **options: Any) -> str:  # pyright: ignore[reportUnusedFunction] - SQLAlchemy calls it
    return f"({compiler.process(usage_records.c.tags, **options)} ->> '{element.tag}')"
