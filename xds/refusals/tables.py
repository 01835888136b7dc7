"""The tables of refused submissions and of unknown codes. Times: milliseconds of 1970."""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Table,
    Text,
)

from xds.database.statements import METADATA

_KEY: Final = BigInteger().with_variant(Integer, "sqlite")

refusal: Final = Table(
    "refusal",
    METADATA,
    Column("pk", _KEY, primary_key=True),
    Column("at", BigInteger, nullable=False, index=True),
    Column("transaction", Text, nullable=False),
    Column("is_failure", Boolean, nullable=False),
    Column("who", Text, nullable=False),
    Column("address", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("number", Integer, nullable=False),
    Column("errors", Text, nullable=False),
)
"""A row for each: ``message`` is the id that its header has, ``reason`` why it was denied where it
was, ``number`` of how many errors it told, ``errors`` the JSON of the first of them."""

unknown_code: Final = Table(
    "unknown_code",
    METADATA,
    Column("attribute", Text, nullable=False),
    Column("code", Text, nullable=False),
    Column("scheme", Text, nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("first", BigInteger, nullable=False),
    Column("last", BigInteger, nullable=False),
    Column("refusal", BigInteger, nullable=False),
    PrimaryKeyConstraint("attribute", "code", "scheme"),
    sqlite_with_rowid=False,
)
"""A row for each code that was refused as none of the affinity domain: how many submissions were
refused for it, when the first and the last of them, and the key of the last."""
Index("ix_unknown_code_last", unknown_code.c.last)
