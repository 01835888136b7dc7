"""Documents that say their versions (:mod:`xds.registry.versions.set_rows`)."""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "2.20"
down_revision: Final = "2.19"

_KEY: Final = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_UUID: Final = sa.String(36).with_variant(sa.Uuid(as_uuid=False), "postgresql")


def upgrade() -> None:
    """Add two tables, which programs of before do not look at."""
    op.create_table(
        "document_set_member",
        sa.Column("logical_id", _UUID, primary_key=True),
        sa.Column("patient", _KEY, sa.ForeignKey("patient.pk"), nullable=False),
        sa.Column("set_id", sa.Text, nullable=False),
        sa.Column("version", sa.BigInteger),
        sa.Column("moment", sa.Text, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_document_set_member_set", "document_set_member", ["patient", "set_id"])
    op.create_table(
        "awaited_document",
        sa.Column("pk", _KEY, primary_key=True),
        sa.Column("logical_id", _UUID, nullable=False),
        sa.Column("association_type", sa.SmallInteger, nullable=False),
        sa.Column("unique_id", sa.Text, nullable=False),
        sa.Column("set_id", sa.Text, nullable=False),
    )
    for name in ("logical_id", "unique_id"):
        op.create_index(f"ix_awaited_document_{name}", "awaited_document", [name])
