"""Exports: what a provider says was used, from the file it gives out, into tallies. Pure.

Reads three shapes and refuses to guess at others, to skip a line it does not understand, or to take a part for
the whole:

* OpenAI's usage API (`GET /v1/organization/usage/completions` and its sisters), grouped by model: one page, a list
  of pages, or a page a line (https://platform.openai.com/docs/api-reference/usage);
* Anthropic's (`GET /v1/organizations/usage_report/messages`), the same way, its four kinds of input added up
  (https://platform.claude.com/docs/en/api/admin/usage_report/retrieve_messages);
* CSV with a line of column names: date, model, input tokens, output tokens and, where it has them, requests and
  cost in USD; the names that the consoles of both write are known too.
"""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from billing.reconciliation.compare import Counted, Tally
from inference.ir.errors import InvalidField

Form = Literal["auto", "openai", "anthropic", "csv"]

_MOST_LINES = 500_000
_MOST = 2**62
_NANO = Decimal(10**9)

_Tokens = Annotated[int, Meta(ge=0, le=_MOST)]


class _OpenAIResult(Struct, kw_only=True):
    input_tokens: _Tokens = 0
    output_tokens: _Tokens = 0
    num_model_requests: _Tokens | None = None
    model: str | None = None


class _OpenAIBucket(Struct, kw_only=True):
    start_time: int
    results: list[_OpenAIResult]


class _OpenAIPage(Struct, kw_only=True):
    data: list[_OpenAIBucket]
    has_more: bool = False


class _CacheCreation(Struct, kw_only=True):
    ephemeral_1h_input_tokens: _Tokens = 0
    ephemeral_5m_input_tokens: _Tokens = 0


class _AnthropicResult(Struct, kw_only=True):
    output_tokens: _Tokens = 0
    uncached_input_tokens: _Tokens = 0
    cache_read_input_tokens: _Tokens = 0
    cache_creation: _CacheCreation | None = None
    model: str | None = None


class _AnthropicBucket(Struct, kw_only=True):
    starting_at: datetime
    results: list[_AnthropicResult]


class _AnthropicPage(Struct, kw_only=True):
    data: list[_AnthropicBucket]
    has_more: bool = False


_COLUMNS: dict[str, tuple[str, ...]] = {
    "day": ("date", "day", "start_time_iso", "usage_date_utc", "start_time", "usage_date", "start_date"),
    "model": ("model", "model_version", "model_id", "model_name"),
    "input": (
        "input_tokens",
        "prompt_tokens",
        "usage_input_tokens_no_cache",
        "usage_input_tokens_cache_write_5m",
        "usage_input_tokens_cache_write_1h",
        "usage_input_tokens_cache_read",
    ),
    "output": ("output_tokens", "completion_tokens", "usage_output_tokens"),
    "requests": ("requests", "num_model_requests", "num_requests"),
    "cost": ("cost", "cost_usd", "amount_usd", "amount_value"),
}
"""What columns are called. Of `input` all that are there are added up, of the others the first counts."""


def read_export(text: str, form: Form = "auto") -> list[Counted]:
    """The tallies of an export. Raises InvalidField, saying where it is not what was expected."""
    text = text.lstrip("\ufeff").strip()
    if not text:
        raise InvalidField("export: it is empty", param="export")
    found = _recognised(text) if form == "auto" else form
    if found == "csv":
        return list(_from_csv(text))
    counted = list(_from_openai(text) if found == "openai" else _from_anthropic(text))
    if not counted:
        raise InvalidField("export: it holds no usage at all: no bucket has a result", param="export")
    return counted


def _recognised(text: str) -> Form:
    if text[0] not in "{[":
        return "csv"
    if '"starting_at"' in text:
        return "anthropic"
    if '"start_time"' in text:
        return "openai"
    raise InvalidField(
        'export: this JSON is no usage report that is known: expected buckets with "start_time" (OpenAI) or '
        '"starting_at" (Anthropic)',
        param="export",
    )


def _pages(text: str, page: type[_OpenAIPage] | type[_AnthropicPage]) -> list[_OpenAIPage | _AnthropicPage]:
    """One page, a list of them, or one a line; whole, down to the last."""
    try:
        if text[0] == "[":
            pages = msgspec.json.decode(text, type=list[page])
        else:
            lines = [text] if "\n{" not in text else text.splitlines()
            pages = [msgspec.json.decode(line, type=page) for line in lines if line.strip()]
    except msgspec.DecodeError as error:
        raise InvalidField(f"export: {error}", param="export") from None
    if pages and pages[-1].has_more:
        raise InvalidField(
            "export: the last page says that there is more (`has_more`): fetch the pages after it too, and give "
            "them all, as a list or one a line",
            param="export",
        )
    return list(pages)


def _from_openai(text: str) -> Iterator[Counted]:
    for page in _pages(text, _OpenAIPage):
        for bucket in page.data:
            if isinstance(bucket, _OpenAIBucket):
                day = _day_of_epoch(bucket.start_time)
                for result in bucket.results:
                    yield Counted(
                        model=result.model,
                        day=day,
                        tally=Tally(
                            input_tokens=result.input_tokens,
                            output_tokens=result.output_tokens,
                            requests=result.num_model_requests,
                        ),
                    )


def _from_anthropic(text: str) -> Iterator[Counted]:
    for page in _pages(text, _AnthropicPage):
        for bucket in page.data:
            if isinstance(bucket, _AnthropicBucket):
                day = bucket.starting_at.astimezone(UTC).date().isoformat()
                for result in bucket.results:
                    written = result.cache_creation or _CacheCreation()
                    given = (
                        result.uncached_input_tokens,
                        result.cache_read_input_tokens,
                        written.ephemeral_1h_input_tokens,
                        written.ephemeral_5m_input_tokens,
                    )
                    tally = Tally(input_tokens=sum(given), output_tokens=result.output_tokens)
                    yield Counted(model=result.model, day=day, tally=tally)


def _from_csv(text: str) -> Iterator[Counted]:
    rows = csv.DictReader(io.StringIO(text), restkey="", restval="")
    columns = _named(rows.fieldnames or ())
    for row in rows:
        line = rows.line_num
        if line > _MOST_LINES:
            raise InvalidField(f"export: more than {_MOST_LINES} lines", param="export")
        if not any(value.strip() for name, value in row.items() if name):
            continue
        yield Counted(
            model=row[columns["model"][0]].strip() or None,
            day=_day(row[columns["day"][0]].strip(), line) if "day" in columns else None,
            tally=Tally(
                input_tokens=sum(_whole(row[name], name, line) for name in columns["input"]),
                output_tokens=_whole(row[columns["output"][0]], columns["output"][0], line),
                requests=_optional(row, columns, "requests", line),
                cost_nano=_cost(row[columns["cost"][0]], line) if "cost" in columns else None,
            ),
        )


def _named(header: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Our words for the columns that are there, each with the names it has in this file."""
    there = {name.strip().lower().replace(" ", "_").replace("-", "_"): name for name in header}
    found = {
        word: tuple(there[name] for name in names if name in there)
        for word, names in _COLUMNS.items()
        if any(name in there for name in names)
    }
    missing = [word for word in ("model", "input", "output") if word not in found]
    if missing:
        wanted = "; ".join(f"{word}: {' or '.join(_COLUMNS[word][:3])}" for word in missing)
        raise InvalidField(f"export: the first line names no column for {wanted}", param="export")
    return found


def _optional(
    row: Mapping[str, str], columns: Mapping[str, tuple[str, ...]], word: str, line: int
) -> int | None:
    return _whole(row[columns[word][0]], columns[word][0], line) if word in columns else None


def _whole(text: str, name: str, line: int) -> int:
    """A count: digits, perhaps with thousands separators; nothing written is nothing counted."""
    plain = text.strip().replace(",", "").replace("_", "")
    if plain in ("", "-"):
        return 0
    if plain.endswith(".0"):
        plain = plain[:-2]
    if not (plain.isascii() and plain.isdigit()) or int(plain) > _MOST:
        raise InvalidField(
            f"export: line {line}: {name} is {text[:40]!r}; a whole number of 0 or more was expected",
            param="export",
        )
    return int(plain)


def _cost(text: str, line: int) -> int:
    """USD as nano-USD, rounded to the nearest: providers write more digits than money has."""
    plain = text.strip().removeprefix("$").replace(",", "") or "0"
    try:
        nano = Decimal(plain) * _NANO
    except InvalidOperation:
        nano = Decimal(-1)
    if not nano.is_finite() or not 0 <= nano <= _MOST:
        raise InvalidField(
            f"export: line {line}: the cost is {text[:40]!r}; an amount in USD of 0 or more was expected",
            param="export",
        )
    return int(nano.to_integral_value())


def _day(text: str, line: int) -> str:
    if text.isascii() and text.isdigit() and len(text) in (9, 10):
        return _day_of_epoch(int(text))
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidField(
            f"export: line {line}: the date is {text[:40]!r}; one such as 2026-01-31 was expected",
            param="export",
        ) from None
    return (moment.astimezone(UTC) if moment.tzinfo is not None else moment).date().isoformat()


def _day_of_epoch(seconds: int) -> str:
    try:
        return datetime.fromtimestamp(seconds, UTC).date().isoformat()
    except (OverflowError, ValueError, OSError):
        raise InvalidField(f"export: {seconds} is no time in unix seconds", param="export") from None
