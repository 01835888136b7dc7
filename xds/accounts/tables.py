"""The tables of accounts, of sessions, and of logins that failed. Times: milliseconds of 1970."""

from typing import Final

from sqlalchemy import BigInteger, Column, Integer, Table, Text

from xds.database.statements import METADATA

account: Final = Table(
    "account",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("password", Text, nullable=False),
    Column("roles", Text, nullable=False),
    Column("patients", Text, nullable=False),
    Column("created", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
"""A row for each local account: ``password`` is a hash of Argon2id with its parameters and salt;
``roles`` and ``patients`` (CX) have a space and a line feed between them."""

account_session: Final = Table(
    "account_session",
    METADATA,
    Column("key", Text, primary_key=True),
    Column("account", Text, index=True),
    Column("person", Text, nullable=False),
    Column("began", BigInteger, nullable=False),
    Column("seen", BigInteger, nullable=False),
    Column("until", BigInteger, nullable=False, index=True),
    sqlite_with_rowid=False,
)
"""A row for each session: ``key`` is the SHA-256 of its secret; ``account`` the local account that
it is of, where it is of one; ``person`` the JSON of who has logged in."""

login_failure: Final = Table(
    "login_failure",
    METADATA,
    Column("key", Text, primary_key=True),
    Column("failures", Integer, nullable=False),
    Column("last", BigInteger, nullable=False, index=True),
    sqlite_with_rowid=False,
)
"""How many logins in turn have failed: of a name, of an address, of both."""
