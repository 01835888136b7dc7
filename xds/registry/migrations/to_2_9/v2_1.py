"""uniqueIds are looked up by their normal form (:mod:`xds.metadata.unique_ids`).

What is registered is answered as it was written: the fragments stay. Of the repository's documents
one whose normal form is another document's keeps its place, and is found by its own spelling alone.
"""

from typing import Final

import sqlalchemy as sa
from alembic import op

from xds.metadata.unique_ids import normal

revision: Final = "2.1"
down_revision: Final = "2.0"

_ENTRIES: Final = sa.table("document_entry", sa.column("pk"), sa.column("unique_id"))
_DOCUMENTS: Final = sa.table("document", sa.column("unique_id"))


def upgrade() -> None:
    """Bring the columns into the normal form, and index further identifiers."""
    normalise(op.get_bind())
    for owner in ("document_entry", "submission_set", "folder"):
        _index(f"{owner}_value")


def normalise(connection: sa.Connection) -> None:
    """Rewrite the columns of uniqueIds that are written otherwise: few, if any."""
    entries = connection.execute(
        sa.select(_ENTRIES.c.pk, _ENTRIES.c.unique_id).where(_is_urn(_ENTRIES))
    ).all()
    for row in entries:
        wanted = sa.update(_ENTRIES).where(_ENTRIES.c.pk == row.pk)
        connection.execute(wanted.values(unique_id=normal(row.unique_id)))
    kept_now = connection.scalars(sa.select(_DOCUMENTS.c.unique_id).where(_is_urn(_DOCUMENTS)))
    for kept in kept_now.all():
        _rename(connection, kept, normal(kept))


def _index(table: str) -> None:
    """Have the further identifiers that came by FHIR lead to their objects."""
    is_attribute = sa.text("attribute = 6")
    op.create_index(
        f"ix_{table}_further_identifiers",
        table,
        ["value"],
        sqlite_where=is_attribute,
        postgresql_where=is_attribute,
    )


def _is_urn(table: sa.TableClause) -> sa.ColumnElement[bool]:
    return sa.func.lower(sa.func.substr(table.c.unique_id, 1, 4)) == "urn:"


def _rename(connection: sa.Connection, kept: str, plain: str) -> None:
    of_plain = sa.select(_DOCUMENTS.c.unique_id).where(_DOCUMENTS.c.unique_id == plain)
    if kept != plain and connection.scalar(of_plain) is None:
        wanted = sa.update(_DOCUMENTS).where(_DOCUMENTS.c.unique_id == kept)
        connection.execute(wanted.values(unique_id=plain))
