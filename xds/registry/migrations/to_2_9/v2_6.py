"""Update and removal of metadata: latest versions, documentAvailability, removals, legal holds.

What is registered already is refilled behind it (:mod:`xds.registry.storage.refilling`), which also
marks the versions that are not the latest.
"""

from typing import Final

import sqlalchemy as sa
from alembic import op

from xds.registry.storage.refilling import added, index_behind

revision: Final = "2.6"
down_revision: Final = "2.5"


def upgrade() -> None:
    """Add columns, indexes and tables, which programs of before do not look at."""
    for table in ("document_entry", "folder"):
        latest = sa.Column("is_latest", sa.SmallInteger, nullable=False, server_default="1")
        added(op, table, latest)
    added(op, "document_entry", sa.Column("document_availability", sa.Text))
    added(op, "event", sa.Column("snapshot", sa.LargeBinary))
    added(op, "event", sa.Column("snapshot_status", sa.SmallInteger))
    if "legal_hold" not in sa.inspect(op.get_bind()).get_table_names():
        op.create_table(
            "legal_hold",
            sa.Column("unique_id", sa.Text, primary_key=True),
            sa.Column("at", sa.BigInteger, nullable=False),
            sa.Column("reason", sa.Text, nullable=False),
            sqlite_with_rowid=False,
        )
        op.create_table(
            "removed_document",
            sa.Column("unique_id", sa.Text, primary_key=True),
            sa.Column("key", sa.Text, nullable=False),
            sa.Column("at", sa.BigInteger, nullable=False),
            sqlite_with_rowid=False,
        )
    _index_latest()
    index_behind(op, "document_entry", 2)


def _index_latest() -> None:
    of_latest = sa.text("is_latest = 1")
    is_sqlite = op.get_context().dialect.name == "sqlite"
    for table in ("document_entry", "folder"):
        name, columns = f"ix_{table}_latest", ["patient", "pk"]
        if is_sqlite:
            op.create_index(name, table, columns, sqlite_where=of_latest)
            continue
        with op.get_context().autocommit_block():
            op.drop_index(name, table, postgresql_concurrently=True, if_exists=True)
            op.create_index(
                name, table, columns, postgresql_concurrently=True, postgresql_where=of_latest
            )
