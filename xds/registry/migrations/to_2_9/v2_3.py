"""The hash chain of the audit records."""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "2.3"
down_revision: Final = "2.2"


def upgrade() -> None:
    """Add two columns and a table, which programs of before do not look at.

    Records of before stay as they are: the chain begins with the next one.
    """
    op.add_column("audit_record", sa.Column("sequence", sa.BigInteger))
    op.add_column("audit_record", sa.Column("hash", sa.Text))
    op.create_table(
        "audit_chain",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("hash", sa.Text, nullable=False),
    )
    op.execute(
        "INSERT INTO audit_chain (name, sequence, hash) "
        "SELECT 'before', coalesce(max(pk), 0), '' FROM audit_record"
    )
    given = sa.text("sequence IS NOT NULL")
    op.create_index(
        "ix_audit_record_sequence",
        "audit_record",
        ["sequence"],
        unique=True,
        sqlite_where=given,
        postgresql_where=given,
    )
    missing = sa.text("sequence IS NULL")
    op.create_index(
        "ix_audit_record_to_chain",
        "audit_record",
        ["pk"],
        sqlite_where=missing,
        postgresql_where=missing,
    )
