"""When documents were made on demand (:mod:`xds.on_demand.tables`)."""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "2.18"
down_revision: Final = "2.17"


def upgrade() -> None:
    """Add a table, which programs of before do not look at."""
    op.create_table(
        "built_document",
        sa.Column("unique_id", sa.Text, primary_key=True),
        sa.Column("made", sa.Text, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_built_document_source", "built_document", ["source"])
