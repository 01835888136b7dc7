"""Documents that a sweep removes are noted first, so that no registration relies on them."""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "2.2"
down_revision: Final = "2.1"


def upgrade() -> None:
    """Add a table, which programs of before do not look at."""
    op.create_table(
        "swept",
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("until", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
