"""Alerts of budgets: noticed from what was spent, written down once, sent by webhook, mail and log until heard."""
