"""Rows in the order of an index, of which the first are read and no more.

PostgreSQL chooses how to find rows by what it believes of their number. Of a value that it takes
for rare, or that it knows nothing of yet, it reads all rows and sorts them; of one that it takes
for frequent it reads the newest rows of the whole table until enough have the value. Either takes
long where it is wrong. Where an index has the rows of each value in the order that is wanted, that
index is right whatever there is.
"""

from typing import Final

from sqlalchemy import Connection, text

_NO_SORTING: Final = text(
    "SELECT set_config('enable_sort', 'off', true), "
    "set_config('enable_incremental_sort', 'off', true)"
)


def keep_to_index_order(connection: Connection) -> None:
    """Have a server sort nothing, for the rest of the transaction, that an index has in order.

    It is for statements with a condition of equality, an ORDER BY of the columns that follow in the
    index, all of them, and a LIMIT. SQLite chooses so by itself.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(_NO_SORTING)
