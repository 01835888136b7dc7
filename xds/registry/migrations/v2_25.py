"""What senders of refused submissions were told is kept, and unknown codes are counted."""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "2.25"
down_revision: Final = "2.24"

_KEY: Final = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Add two tables."""
    op.create_table(
        "refusal",
        sa.Column("pk", _KEY, primary_key=True),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("transaction", sa.Text, nullable=False),
        sa.Column("is_failure", sa.Boolean, nullable=False),
        sa.Column("who", sa.Text, nullable=False),
        sa.Column("address", sa.Text, nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("errors", sa.Text, nullable=False),
    )
    op.create_index("ix_refusal_at", "refusal", ["at"])
    op.create_table(
        "unknown_code",
        sa.Column("attribute", sa.Text, nullable=False),
        sa.Column("code", sa.Text, nullable=False),
        sa.Column("scheme", sa.Text, nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("first", sa.BigInteger, nullable=False),
        sa.Column("last", sa.BigInteger, nullable=False),
        sa.Column("refusal", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("attribute", "code", "scheme"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_unknown_code_last", "unknown_code", ["last"])
