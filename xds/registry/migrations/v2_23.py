"""Audit records are counted by hour."""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "2.23"
down_revision: Final = "2.22"

_LAST: Final = "SELECT coalesce(max(sequence), 0) FROM audit_record"
_COUNTED: Final = "SELECT sequence FROM audit_chain WHERE name = 'counted'"
_BEFORE: Final = "SELECT sequence FROM audit_chain WHERE name = 'before'"


def upgrade() -> None:
    """Add a table, and count what is there.

    What programs of before chain meanwhile, and later, comes after the place that is noted, and is
    counted by programs of this schema.
    """
    op.create_table(
        "audit_hour",
        sa.Column("hour", sa.BigInteger, nullable=False),
        sa.Column("transaction", sa.Text, nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("failed", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("hour", "transaction"),
        sqlite_with_rowid=False,
    )
    op.execute(f"INSERT INTO audit_chain (name, sequence, hash) SELECT 'counted', ({_LAST}), ''")
    op.execute(
        f"""
        INSERT INTO audit_hour (hour, "transaction", number, failed)
        SELECT at - at % 3600000, "transaction", count(*),
            sum(CASE WHEN outcome > 0 THEN 1 ELSE 0 END)
        FROM audit_record
        WHERE sequence <= ({_COUNTED}) OR sequence IS NULL AND pk <= ({_BEFORE})
        GROUP BY 1, 2
        """
    )
