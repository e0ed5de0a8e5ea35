"""Reconciliation: what was recorded here beside what providers and workers counted, and an alarm where they part."""
