"""Audit records, and who ships them."""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "1.1"
down_revision: Final = "1.0"


def upgrade() -> None:
    """Add two tables, which programs of before do not look at."""
    op.create_table(
        "audit_record",
        sa.Column("pk", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
        sa.Column("id", sa.Text, nullable=False, unique=True),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("transaction", sa.Text, nullable=False),
        sa.Column("outcome", sa.SmallInteger, nullable=False),
        sa.Column("patient_id", sa.Text),
        sa.Column("user_id", sa.Text),
        sa.Column("shipped", sa.Boolean, nullable=False),
        sa.Column("record", sa.Text, nullable=False),
    )
    op.create_index("ix_audit_record_at", "audit_record", ["at"])
    for name in ("patient_id", "user_id"):
        given = sa.text(f"{name} IS NOT NULL")
        op.create_index(
            f"ix_audit_record_{name}",
            "audit_record",
            [name, "at"],
            sqlite_where=given,
            postgresql_where=given,
        )
    op.create_index(
        "ix_audit_record_to_ship",
        "audit_record",
        ["pk"],
        sqlite_where=sa.text("shipped = 0"),
        postgresql_where=sa.text("NOT shipped"),
    )
    op.create_table(
        "audit_lease",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("holder", sa.Text, nullable=False),
        sa.Column("until", sa.BigInteger, nullable=False),
    )
