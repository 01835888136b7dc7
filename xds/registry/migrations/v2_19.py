"""What receivers say of messages, and messages that an operator has corrected."""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "2.19"
down_revision: Final = "2.18"


def upgrade() -> None:
    """Add columns that programs of before leave as they are, and a table that they do not know."""
    op.add_column("outbound_message", sa.Column("said", sa.Text, nullable=False, server_default=""))
    op.add_column("outbound_message", sa.Column("corrects", sa.Text))
    op.create_table(
        "outbound_part",
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("place", sa.Integer, nullable=False),
        sa.Column("content", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("message", "place"),
    )
