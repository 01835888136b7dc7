"""Rows that are hidden until they are deleted (:mod:`xds.database.hidden_rows`)."""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "2.12"
down_revision: Final = "2.11"

_KEY: Final = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Add a table for each kind of object, which programs of before do not look at."""
    for name in ("document_entry", "submission_set", "folder", "association"):
        key = sa.Column("pk", _KEY, primary_key=True, autoincrement=False)
        op.create_table(f"hidden_{name}", key)
