"""Budgets: how much may be spent in a day, week or month, by whom, and who hears of it. Knows no HTTP and no mail."""
