"""Reconciliation on a database: the span, the doubts, and who is judged."""

import json
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from billing.reconciliation.compare import Thresholds
from billing.reconciliation.counters import Look
from gateway.database.engine import Database
from gateway.reconciliation import Span, span_of
from inference.ir.errors import InvalidField
from tests.usage_books import DAY, START, Books

EXACT = Thresholds(share_bp=0, tokens=0, cost_nano=0)


@pytest.fixture
async def books(database: Database, tmp_path: Path) -> AsyncGenerator[Books]:
    made = Books(database, tmp_path / "journal")
    yield made
    made.journal.close()


def exported(*lines: tuple[str, str, int, int]) -> str:
    return "date,model,input_tokens,output_tokens\n" + "".join(
        f"{day},{model},{given},{made}\n" for day, model, given, made in lines
    )


async def test_an_export_that_agrees(books: Books) -> None:
    books.used(100, 10)
    books.used(50, 5, at=START + DAY)
    books.used(999, 999, at=START + 2 * DAY)  # after what the export covers
    books.used(999, 999, provider="fleet")
    books.used(999, 999, byok=True)
    found = await books.reconciliation.with_export(
        "openai",
        exported(("2026-01-01", "gpt-x-2025-12-01", 100, 10), ("2026-01-02", "gpt-x-2025-12-01", 50, 5)),
        thresholds=EXACT,
    )
    assert not found.alarm
    assert found.complete
    assert (found.start, found.end) == ("2026-01-01T00:00:00Z", "2026-01-03T00:00:00Z")
    assert [line.model for line in found.comparison.models] == ["gpt-x"]
    assert [line.day for line in found.comparison.days] == ["2026-01-01", "2026-01-02"]


async def test_an_export_that_does_not(books: Books) -> None:
    books.used(100_000, 10)
    found = await books.reconciliation.with_export("openai", exported(("2026-01-01", "gpt-x", 110_000, 10)))
    assert found.alarm
    assert found.comparison.total.input_drift == -10_000


async def test_a_span_cuts_both_sides(books: Books) -> None:
    books.used(1, 1)
    books.used(2, 2, at=START + DAY)
    text = exported(("2026-01-01", "gpt-x", 1, 1), ("2026-01-02", "gpt-x", 2, 2))
    found = await books.reconciliation.with_export(
        "openai", text, span=Span(start=START + DAY, end=START + 2 * DAY), thresholds=EXACT
    )
    assert not found.alarm
    assert found.comparison.total.theirs.input_tokens == 2


async def test_what_was_estimated_is_said(books: Books) -> None:
    books.used(7, 3, usage_source="counted")
    found = await books.reconciliation.with_export("openai", exported(("2026-01-01", "gpt-x", 7, 3)))
    assert any("10 of our tokens are estimates" in note for note in found.notes)


async def test_models_that_are_not_told_apart(books: Books) -> None:
    books.used(7, 3)
    page = {"data": [{"start_time": START // 10**9, "results": [{"input_tokens": 7, "output_tokens": 3}]}]}
    found = await books.reconciliation.with_export("openai", json.dumps(page), thresholds=EXACT)
    assert not found.alarm
    assert any("does not tell models apart" in note for note in found.notes)


async def test_what_cannot_be_asked(books: Books) -> None:
    with pytest.raises(InvalidField, match="the catalogue has fleet, openai"):
        await books.reconciliation.with_export("nobody", exported(("2026-01-01", "m", 1, 1)))
    with pytest.raises(InvalidField, match="has a date"):
        await books.reconciliation.with_export("openai", "model,input_tokens,output_tokens\nm,1,1\n")
    with pytest.raises(InvalidField, match="both or neither"):
        span_of("2026-01-01", None)
    with pytest.raises(InvalidField):
        span_of("2026-01-02", "2026-01-01")
    assert span_of("2026-01-01", "2026-01-02") == Span(start=START, end=START + DAY)
    assert span_of(None, None) is None


def look(prompt: int, generation: int, *, busy: int = 0, born: float = 1.0) -> Look:
    return Look(prompt={"q": prompt}, generation={"q": generation}, born={"q": born}, busy=busy)


async def test_workers_that_agree_whatever_the_model_is_called(books: Books) -> None:
    books.used(100, 10, provider="fleet", target="alias@10.0.0.1:8000")
    books.used(200, 20, provider="fleet", target="q@10.0.0.2:8000", byok=True)
    looks = {"one": (look(5, 5), look(105, 15)), "two": (look(0, 0), look(200, 20))}
    found = await books.reconciliation.with_counters(
        "fleet", looks, Span(start=START, end=START + DAY), thresholds=EXACT
    )
    assert not found.alarm
    assert found.notes == ()
    assert found.comparison.total.theirs.input_tokens == 300


async def test_a_worker_that_did_more_than_it_was_asked_here(books: Books) -> None:
    books.used(100, 10, provider="fleet", target="q@10.0.0.1:8000")
    looks = {"one": (look(0, 0, busy=2), look(50_100, 10))}
    found = await books.reconciliation.with_counters("fleet", looks, Span(start=START, end=START + DAY))
    assert found.alarm
    assert found.comparison.total.alarm == ("input_tokens",)
    assert any("2 requests were under way" in note for note in found.notes)


async def test_a_worker_that_started_anew_proves_nothing(books: Books) -> None:
    books.used(100_000, 10, provider="fleet", target="q@10.0.0.1:8000")
    looks = {"one": (look(90_000, 9), look(10, 1, born=2.0))}
    found = await books.reconciliation.with_counters("fleet", looks, Span(start=START, end=START + DAY))
    assert not found.alarm
    assert any("started anew" in note for note in found.notes)
