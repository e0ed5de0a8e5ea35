"""Reporting: the questions usage records answer. One report a file; `billing.reports` asks them."""
