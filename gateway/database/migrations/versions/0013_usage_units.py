"""Counts of usage beyond plain tokens: hour-long cache writes, audio, pictures, characters, searches."""

import sqlalchemy as sa
from alembic import op

revision = "0013_usage_units"
down_revision = "0012_tier_terms"

_COUNTS = (
    "cache_write_1h_tokens",
    "audio_input_tokens",
    "audio_output_tokens",
    "image_input_tokens",
    "image_output_tokens",
    "characters",
    "audio_ms",
    "images",
    "searches",
)


def upgrade() -> None:
    # A column with a constant default is a matter of the table's description alone: no row is rewritten.
    for name in _COUNTS:
        op.add_column("usage_records", sa.Column(name, sa.BigInteger(), nullable=False, server_default="0"))


def downgrade() -> None:
    for name in reversed(_COUNTS):
        op.drop_column("usage_records", name)
