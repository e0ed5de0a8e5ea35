"""A journal with usage records in it on a database, and what reconciles them with others' counts."""

from pathlib import Path
from typing import Any

from billing.drain import Drain
from billing.journal import Journal
from billing.meter import Meter
from billing.usage import UsageRecord
from gateway.database.engine import Database
from gateway.reconciliation import Reconciliation
from inference.ir.cards import Provider

DAY = 86_400_000_000_000
START = 1_767_225_600_000_000_000
"""2026-01-01T00:00:00Z."""


class Books:
    """A journal with records in it, and what reconciles them."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.journal = Journal(folder, writer_id="w")
        self.meter = Meter(self.journal)
        cards = [
            Provider(name=name, wire="vllm", base_urls=("http://127.0.0.1:1",))
            for name in ("openai", "fleet")
        ]
        self.reconciliation = Reconciliation(
            database.reading, Drain(folder, database.engine), lambda: {card.name: card for card in cards}
        )
        self._count = 0

    def used(self, given: int, made: int, **fields: Any) -> None:
        self._count += 1
        values: dict[str, Any] = {
            "id": f"r{self._count}",
            "at": START + 1,
            "route": "chat",
            "provider": "openai",
            "target": "gpt-x@api.openai.com:443",
            "duration_us": 9,
            "overhead_us": 1,
            "status": 200,
        }
        self.meter.record(UsageRecord(input_tokens=given, output_tokens=made, **{**values, **fields}))
