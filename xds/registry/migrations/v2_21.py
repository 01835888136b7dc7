"""A message is kept without the text of its documents, which are kept already."""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "2.21"
down_revision: Final = "2.20"


def upgrade() -> None:
    """Add three columns, which are empty in the pieces of messages that were kept as a whole."""
    op.add_column("message_part", sa.Column("document", sa.Text))
    op.add_column("message_part", sa.Column("text_start", sa.BigInteger))
    op.add_column("message_part", sa.Column("text_end", sa.BigInteger))
