"""A budget survives being a row."""

from hypothesis import given
from hypothesis import strategies as st

from billing.budgets.budget import Budget
from billing.budgets.rows import budget_of, columns_of


@given(st.from_type(Budget))
def test_there_and_back(budget: Budget) -> None:
    assert budget_of(columns_of(budget)) == budget
