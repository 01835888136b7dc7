"""Tokens by which connections are bound to subscriptions (:mod:`xds.notification.binding`)."""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "2.10"
down_revision: Final = "2.9"


def upgrade() -> None:
    """Add a table, which programs of before do not look at."""
    op.create_table(
        "subscription_token",
        sa.Column("digest", sa.Text, primary_key=True),
        sa.Column("subscriptions", sa.Text, nullable=False),
        sa.Column("expires", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_subscription_token_expires", "subscription_token", ["expires"])
