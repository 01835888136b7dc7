"""The table of paused feeds."""

from typing import Final

from sqlalchemy import BigInteger, Column, Table, Text

from xds.database.statements import METADATA

paused_feed: Final = Table(
    "paused_feed",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("since", BigInteger, nullable=False),
)
"""A row for each feed that is paused; ``since`` is in milliseconds of 1970."""
