"""Titles and institutions of authors are searched (FindDocumentsByTitle).

What is registered already is refilled behind it (:mod:`xds.registry.storage.refilling`).
"""

from typing import Final

import sqlalchemy as sa
from alembic import op

from xds.registry.storage.refilling import added, index_behind

revision: Final = "2.4"
down_revision: Final = "2.3"


def upgrade() -> None:
    """Add columns; rows of programs of before are of version 0, those written now of version 1."""
    for table in ("document_entry", "submission_set", "folder"):
        version = sa.Column("search_version", sa.SmallInteger, nullable=False, server_default="0")
        added(op, table, version)
    added(op, "document_entry", sa.Column("title", sa.Text))
    index_behind(op, "document_entry", 1)
