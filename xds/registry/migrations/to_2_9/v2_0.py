"""Fragments are packed from now on, which programs of before cannot read.

What they wrote is read as it is (:mod:`xds.registry.storage.packing`). The indexes that lead from
an object to its values hold each owner once, in place of each value.
"""

from typing import Final

from alembic import op

revision: Final = "2.0"
down_revision: Final = "1.2"

_OWNERS: Final = ("document_entry", "submission_set", "folder")


def upgrade() -> None:
    """Make the indexes anew; in SQLite the tables of values are their own."""
    if op.get_context().dialect.name == "sqlite":
        return
    with op.get_context().autocommit_block():
        for owner in _OWNERS:
            old, table = f"ix_{owner}_value_owner", f"{owner}_value"
            # a step that was broken off here is taken again
            op.create_index(
                f"ix_{table}", table, ["owner"], postgresql_concurrently=True, if_not_exists=True
            )
            op.drop_index(old, table, postgresql_concurrently=True, if_exists=True)
