"""`aspendos credits` on a database file, as an operator types it."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from sqlalchemy import text

from gateway.cli import app
from gateway.database.engine import Database


@pytest.fixture(autouse=True)
def _data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:  # pyright: ignore[reportUnusedFunction] - pytest calls it
    monkeypatch.setenv("ASPENDOS_DATA_DIR", str(tmp_path))
    monkeypatch.delenv("ASPENDOS_DATABASE_URL", raising=False)
    yield
    structlog.reset_defaults()  # the command sends logs to a standard error that ends with the test


def _run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = app(list(words), exit_on_error=False, result_action="return_value")
    out = capsys.readouterr()
    return code or 0, out.out, out.err


def test_from_an_account_to_a_proof(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    _run(capsys, "teams", "create", "red")
    code, _, error = _run(capsys, "credits", "show", "red")
    assert (code, "aspendos credits open" in error) == (1, True)
    code, out, _ = _run(capsys, "credits", "open", "red", "--credit-line", "2.5")
    assert (code, "-2.5 USD" in out) == (0, True)
    code, out, _ = _run(
        capsys, "credits", "grant", "red", "10", "--reference", "gift", "--expires", "2099-01-01", "--json"
    )
    assert json.loads(out)["balance_nano"] == 10_000_000_000
    assert "posted before" in _run(capsys, "credits", "grant", "red", "10", "--reference", "gift")[1]
    assert "8.5 USD" in _run(capsys, "credits", "take-back", "red", "1.5", "--of-grant", "gift")[1]
    code, out, _ = _run(capsys, "credits", "adjust", "red", "-0.25", "--memo", "rounding")
    assert (code, "8.25 USD" in out) == (0, True)
    code, out, _ = _run(capsys, "credits", "transactions", "red", "--json")
    transactions = json.loads(out)["transactions"]
    assert [each["reason"] for each in transactions] == ["admin_adjustment", "correction", "bonus"]
    assert "rounding" in _run(capsys, "credits", "transactions", "red")[1]
    assert _run(capsys, "credits", "transactions", "red", "--csv")[1].count("\n") == 4
    month = transactions[0]["at"][:7]
    assert "8.25" in _run(capsys, "credits", "statement", "red", month)[1].splitlines()[-1]
    assert (
        json.loads(_run(capsys, "credits", "statement", "red", month, "--json")[1])["closing_usd"] == "8.25"
    )
    assert "closing" in _run(capsys, "credits", "statement", "red", month, "--csv")[1]
    code, out, _ = _run(capsys, "credits", "show", "red")
    assert "2099-01-01" in out
    assert "8.25" in _run(capsys, "credits", "show")[1]
    code, out, _ = _run(capsys, "credits", "check")
    assert (code, "add up" in out) == (0, True)
    asyncio.run(_tamper(tmp_path))
    code, _, error = _run(capsys, "credits", "check")
    assert (code, "do not add up" in error) == (1, True)


@pytest.mark.parametrize("amount", ["1e3", "-1", "0", "1.0000000001", "ten", "99999999999"])
def test_odd_amounts_are_refused(capsys: pytest.CaptureFixture[str], amount: str) -> None:
    _run(capsys, "teams", "create", "red")
    _run(capsys, "credits", "open", "red")
    code, _, error = _run(capsys, "credits", "grant", "red", "--", amount)
    assert (code, "amount" in error) == (1, True)


async def _tamper(folder: Path) -> None:
    (path,) = folder.glob("*.db")
    database = Database(f"sqlite:///{path}")
    async with database.writing() as session:
        await session.execute(text("UPDATE ledger_balances SET balance_nano = 1 WHERE balance_nano > 0"))
    await database.close()
