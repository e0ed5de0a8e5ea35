"""Payment processors: who pays for credits and tiers, through whom, and what that does to the ledger."""
