"""What a trusted feed says of patients beside their ids: which ids are one person's, and who it is.

A link leads from an id of any domain to the id of the same person in another domain. They are
learned of patient feeds alone: in reports typing errors spread (ITI TF-2 3.30, 3.8).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from sqlalchemy import (
    Column,
    Connection,
    PrimaryKeyConstraint,
    Table,
    Text,
    bindparam,
    delete,
    or_,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from xds.database.lists import one_of
from xds.database.statements import METADATA
from xds.registry.tables import searchable

patient_link = Table(
    "patient_link",
    METADATA,
    Column("patient_id", Text, nullable=False),
    Column("domain", Text, nullable=False),
    Column("linked_id", Text, nullable=False),
    PrimaryKeyConstraint("patient_id", "domain"),
    sqlite_with_rowid=False,
)
"""``linked_id`` is the id, in the domain (OID), of the patient who has the id ``patient_id``."""

patient_details = Table(
    "patient_details",
    METADATA,
    Column("patient_id", Text, primary_key=True),
    Column("family", Text, nullable=False),
    Column("given", Text, nullable=False),
    Column("birth_date", Text, nullable=False),
    Column("sex", Text, nullable=False),
    Column("postcode", Text, nullable=False),
    Column("practice", Text, nullable=False),
    sqlite_with_rowid=False,
)
"""What a feed said last of the patient who has an id."""

_LINKED: Final = select(
    patient_link.c.patient_id, patient_link.c.domain, patient_link.c.linked_id
).where(one_of.named(patient_link.c.patient_id, "ids"))
_UNLINK: Final = delete(patient_link).where(
    or_(
        (patient_link.c.patient_id == bindparam("one"))
        & (patient_link.c.linked_id == bindparam("other")),
        (patient_link.c.patient_id == bindparam("other"))
        & (patient_link.c.linked_id == bindparam("one")),
    )
)
_MOVE: Final = (
    update(patient_link)
    .where(patient_link.c.linked_id == bindparam("old"))
    .values(linked_id=bindparam("new"))
)
_DETAILS: Final = select(patient_details).where(one_of.named(patient_details.c.patient_id, "ids"))


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownDetails:
    """Who a patient is, as a feed has said; what is not known is empty."""

    family: str = ""
    given: str = ""
    birth_date: str = ""
    """YYYYMMDD, or less."""
    sex: str = ""
    postcode: str = ""
    practice: str = ""


def _insert(connection: Connection, table: Table) -> Any:
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    return dialect.insert(table)


def domain_of(patient_id: str) -> str:
    """Return the OID of the domain of an id (CX)."""
    return patient_id.rpartition("&ISO")[0].rpartition("&")[2]


def link(connection: Connection, patient_ids: Iterable[str]) -> None:
    """Learn that ids (CX) are one person's; of one domain the last that is said holds."""
    found = sorted(set(map(searchable, patient_ids)))
    rows = [
        {"patient_id": one, "domain": domain_of(other), "linked_id": other}
        for one in found
        for other in found
        if domain_of(one) != domain_of(other)
    ]
    if not rows:
        return
    statement = _insert(connection, patient_link)
    statement = statement.on_conflict_do_update(
        index_elements=["patient_id", "domain"],
        set_={"linked_id": statement.excluded.linked_id},
    )
    for row in rows:
        connection.execute(statement, row)


def unlink(connection: Connection, one: str, other: str) -> None:
    """Forget that two ids are one person's."""
    connection.execute(_UNLINK, {"one": searchable(one), "other": searchable(other)})


def merge(connection: Connection, *, subsumed: str, surviving: str) -> None:
    """Let what led to the subsumed id lead to the surviving one."""
    connection.execute(_MOVE, {"old": searchable(subsumed), "new": searchable(surviving)})


def linked(connection: Connection, patient_ids: Sequence[str]) -> Mapping[str, Mapping[str, str]]:
    """Return the ids of the same persons by their domains, for each id that has any."""
    found: dict[str, dict[str, str]] = {}
    wanted = [searchable(one) for one in patient_ids]
    for row in connection.execute(_LINKED, {"ids": wanted}):
        found.setdefault(row.patient_id, {})[row.domain] = row.linked_id
    return found


def note_details(connection: Connection, patient_ids: Iterable[str], said: KnownDetails) -> None:
    """Keep who the patient with some ids is; what is said empty leaves what is known."""
    values = {name: value for name, value in asdict(said).items() if value}
    if not values:
        return
    statement = _insert(connection, patient_details)
    for one in sorted(set(map(searchable, patient_ids))):
        row = {**asdict(said), "patient_id": one}
        connection.execute(
            statement.values(row).on_conflict_do_update(index_elements=["patient_id"], set_=values)
        )


def details(connection: Connection, patient_ids: Sequence[str]) -> Mapping[str, KnownDetails]:
    """Return who patients are, by their ids."""
    rows = connection.execute(_DETAILS, {"ids": [searchable(one) for one in patient_ids]})
    return {
        row.patient_id: KnownDetails(
            **{name: getattr(row, name) for name in KnownDetails.__slots__}
        )
        for row in rows
    }
