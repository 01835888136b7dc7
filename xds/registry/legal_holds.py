"""Legal holds by a mark: documents that nobody may remove, nor their metadata (`xds hold`)."""

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Connection, delete, insert, select

from xds.metadata.unique_ids import normal
from xds.registry.tables import legal_hold


@dataclass(frozen=True, slots=True)
class LegalHold:
    """A document that nobody may remove, nor its metadata."""

    unique_id: str
    at: str
    """DTM, UTC: since when."""
    reason: str


def hold(connection: Connection, unique_ids: Iterable[str], *, at: str, reason: str) -> None:
    """Put documents on legal hold; of those that are already, nothing changes."""
    wanted = {normal(one): None for one in unique_ids}
    known = set(connection.scalars(select(legal_hold.c.unique_id)))
    rows = [{"unique_id": one, "at": at, "reason": reason} for one in wanted if one not in known]
    if rows:
        connection.execute(insert(legal_hold), rows)


def release(connection: Connection, unique_ids: Iterable[str]) -> list[str]:
    """End the legal hold of documents, and return those of which there was one."""
    ended = []
    for unique_id in unique_ids:
        own = legal_hold.c.unique_id == unique_id
        if connection.execute(delete(legal_hold).where(own)).rowcount:
            ended.append(unique_id)
    return ended


def legal_holds(connection: Connection) -> list[LegalHold]:
    """Return the documents that are on legal hold by a mark, the first one first."""
    columns = (legal_hold.c.unique_id, legal_hold.c.at, legal_hold.c.reason)
    query = select(*columns).order_by(legal_hold.c.at, legal_hold.c.unique_id)
    return [LegalHold(*row) for row in connection.execute(query)]
