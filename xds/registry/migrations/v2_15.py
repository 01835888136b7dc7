"""Accounts of people, their sessions, and logins that failed (:mod:`xds.accounts`)."""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "2.15"
down_revision: Final = "2.14"


def upgrade() -> None:
    """Add three tables, which programs of before do not look at."""
    op.create_table(
        "account",
        sa.Column("name", sa.Text, primary_key=True),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("password", "roles", "patients")),
        sa.Column("created", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "account_session",
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("account", sa.Text),
        sa.Column("person", sa.Text, nullable=False),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in ("began", "seen", "until")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_account_session_account", "account_session", ["account"])
    op.create_index("ix_account_session_until", "account_session", ["until"])
    op.create_table(
        "login_failure",
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("last", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_login_failure_last", "login_failure", ["last"])
