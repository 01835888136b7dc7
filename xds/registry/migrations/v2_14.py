"""Messages that come in have the patient's general practice, for the rules of destinations."""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "2.14"
down_revision: Final = "2.13"


def upgrade() -> None:
    """Add a column, which programs of before fill with its default."""
    op.add_column("message", sa.Column("practice", sa.Text, nullable=False, server_default=""))
