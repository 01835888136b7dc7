"""The structured results of documents (:mod:`xds.registry.storage.observations`)."""

from typing import Final

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: Final = "2.17"
down_revision: Final = "2.16"

_UUID: Final = sa.String(36).with_variant(postgresql.UUID(as_uuid=False), "postgresql")
_TEXTS: Final = ("value", "unit", "reference_range", "interpretation", "specimen")


def upgrade() -> None:
    """Add three tables, which programs of before do not look at."""
    op.create_table(
        "read_document",
        sa.Column("logical_id", _UUID, primary_key=True),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("reader", sa.Integer, nullable=False),
        sa.Column("observations", sa.Integer, nullable=False),
    )
    op.create_table(
        "observation",
        sa.Column("logical_id", _UUID, primary_key=True),
        sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("code", sa.Text),
        sa.Column("coding_scheme", sa.Text),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("value_kind", sa.Text, nullable=False),
        sa.Column("value_number", sa.Float),
        *(sa.Column(name, sa.Text, nullable=False) for name in _TEXTS),
        sa.Column("time", sa.BigInteger),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("is_earlier", sa.SmallInteger, nullable=False),
        sa.Column("content", sa.Text, nullable=False),
    )
    op.create_table(
        "observation_code",
        sa.Column("logical_id", _UUID, primary_key=True),
        sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("code", sa.Text, primary_key=True),
        sa.Column("coding_scheme", sa.Text, primary_key=True),
    )
    op.create_index("ix_observation_code", "observation_code", ["code", "coding_scheme"])
