"""Audit records are searched by transaction, and those of failures, by indexes."""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "2.22"
down_revision: Final = "2.21"

_TABLE: Final = "audit_record"


def upgrade() -> None:
    """Make two indexes, on a server's database without holding up who writes."""
    failed = sa.text("outcome > 0")
    for name, columns, where in (
        ("ix_audit_record_transaction", ["transaction", "at"], None),
        ("ix_audit_record_failed", ["at"], failed),
    ):
        if op.get_context().dialect.name == "postgresql":
            with op.get_context().autocommit_block():
                op.drop_index(name, _TABLE, postgresql_concurrently=True, if_exists=True)
                op.create_index(
                    name, _TABLE, columns, postgresql_concurrently=True, postgresql_where=where
                )
        else:
            op.create_index(name, _TABLE, columns, sqlite_where=where)
