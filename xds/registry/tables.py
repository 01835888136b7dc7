"""The registry's tables.

What never changes of an object is rendered once, at registration, and kept in ``fragment``; what
does change (availabilityStatus, patientId after a merge, a Folder's lastUpdateTime) stands in
columns alone and is filled in on the way out (:mod:`xds.registry.storage.fragments`). Columns
beside those exist to be searched: there is one for each attribute that is declared as searched and
has one value at most. Those with more values have rows in a table of values.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    String,
    Table,
    Text,
    Uuid,
    literal_column,
    text,
    type_coerce,
)
from sqlalchemy.types import TypeDecorator, TypeEngine

from xds.database.hidden_rows import hiding
from xds.database.statements import METADATA
from xds.metadata import datatypes
from xds.metadata import vocabulary as v
from xds.metadata.objects import Association, DocumentEntry, Folder, MetadataObject, SubmissionSet
from xds.metadata.searched import Searched
from xds.metadata.searched import searchable as searchable
from xds.metadata.unique_ids import normal

FromDatabase = Callable[[Any], str | None]
"""Turns a column's value into Python's. Results have many rows, so this is one plain call."""
ToDatabase = Callable[[Any], Any]
"""Turns Python's value into a column's."""


_UUID_URN: Final = re.compile(r"urn:uuid:([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})")


def _bare_uuid(urn: str | None) -> str | None:
    found = None if urn is None else _UUID_URN.fullmatch(urn)
    return None if found is None else found[1]


class EntryUUID(TypeDecorator[str]):
    """A ``urn:uuid:``, kept without the prefix, in the database's own UUID type if it has one.

    Any other text, which a query or a reference may hold, is NULL: it equals nothing.
    """

    impl = String(36)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Choose the type by the database."""
        if dialect.name == "postgresql":
            return dialect.type_descriptor(Uuid(as_uuid=False))
        return dialect.type_descriptor(String(36))

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """To the database."""
        return _bare_uuid(value)

    def bind_processor(self, dialect: Dialect) -> ToDatabase:
        """To the database, without SQLAlchemy's function around it: there may be thousands."""
        write: ToDatabase | None = self.impl_instance.bind_processor(dialect)
        return _bare_uuid if write is None else lambda value: write(_bare_uuid(value))

    def result_processor(self, dialect: Dialect, coltype: object) -> FromDatabase:
        """From the database."""
        return lambda value: None if value is None else f"urn:uuid:{value}"


def _normal(unique_id: str | None) -> str | None:
    return None if unique_id is None else normal(unique_id)


class UniqueId(TypeDecorator[str]):
    """A uniqueId in its normal form (:mod:`xds.metadata.unique_ids`), as its values are."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """To the database."""
        return _normal(value)

    def bind_processor(self, dialect: Dialect) -> ToDatabase:
        """To the database, without SQLAlchemy's function around it."""
        return _normal


_NO_TERM: Final = -1


class Term(TypeDecorator[str]):
    """A URN of a closed vocabulary, kept as a small number."""

    impl = SmallInteger
    cache_ok = True

    def __init__(self, terms: tuple[str, ...]) -> None:
        super().__init__()
        self.terms = terms
        self._numbers: Mapping[str, int] = {term: i for i, term in enumerate(terms)}

    def process_bind_param(self, value: str | None, dialect: Dialect) -> int | None:
        """To the database; a term outside the vocabulary becomes a number that nothing has."""
        return None if value is None else self._numbers.get(value, _NO_TERM)

    def bind_processor(self, dialect: Dialect) -> ToDatabase:
        """To the database, without SQLAlchemy's function around it."""
        numbers: dict[str | None, int | None] = {None: None}
        numbers.update(self._numbers)
        return lambda value: numbers.get(value, _NO_TERM)

    def result_processor(self, dialect: Dialect, coltype: object) -> FromDatabase:
        """From the database."""
        terms: dict[int | None, str | None] = {None: None, **dict(enumerate(self.terms))}
        return terms.__getitem__


_DIGITS: Final = 14


def _first_instant(dtm: str | None) -> int | None:
    if dtm is None:
        return None
    return int(dtm if len(dtm) == _DIGITS else datatypes.earliest(dtm))


class Instant(TypeDecorator[str]):
    """A DTM as the number of its earliest instant in 14 digits, so that precisions compare."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> int | None:
        """To the database."""
        return _first_instant(value)

    def bind_processor(self, dialect: Dialect) -> ToDatabase:
        """To the database, without SQLAlchemy's function around it."""
        return _first_instant

    def result_processor(self, dialect: Dialect, coltype: object) -> FromDatabase:
        """From the database."""
        return lambda value: None if value is None else f"{value:014d}"


class Number(TypeDecorator[int]):
    """A number, of which a query has the digits."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: str | int | None, dialect: Dialect) -> int | None:
        """To the database."""
        return None if value is None else int(value)


Key: Final = BigInteger().with_variant(Integer, "sqlite")
"""A row's number; SQLite counts only its own INTEGER PRIMARY KEY."""

STATUSES: Final = Term((v.APPROVED, v.DEPRECATED))
DOCUMENT_ENTRY_TYPES: Final = Term((v.STABLE_DOCUMENT_ENTRY, v.ON_DEMAND_DOCUMENT_ENTRY))
ASSOCIATION_TYPES: Final = Term(
    (
        v.HAS_MEMBER,
        v.RPLC,
        v.XFRM,
        v.APND,
        v.XFRM_RPLC,
        v.SIGNS,
        v.IS_SNAPSHOT_OF,
        v.UPDATE_AVAILABILITY_STATUS,
        v.SUBMIT_ASSOCIATION,
    )
)
"""New terms go to the end: the place in the row is what is stored."""

patient = Table(
    "patient",
    METADATA,
    Column("pk", Key, primary_key=True),
    Column("patient_id", Text, nullable=False, unique=True),
    Column("survivor", Key, ForeignKey("patient.pk")),
)
"""Patient ids (CX) that a feed or a submission made known; ``survivor`` after a merge.

``survivor`` is the patient at the end of a chain of merges, so that nobody walks chains.
"""
Index(
    "ix_patient_survivor",
    patient.c.survivor,
    sqlite_where=patient.c.survivor.is_not(None),
    postgresql_where=patient.c.survivor.is_not(None),
)


_TYPES: Final[Mapping[Searched, type[TypeEngine[Any]]]] = {
    Searched.TEXT: Text,
    Searched.CODE: Text,
    Searched.TIME: Instant,
    Searched.NUMBER: Number,
    Searched.REFERENCE: EntryUUID,
}
IS_LATEST: Final = "is_latest = 1"
"""That a row is the latest version of its logical object, as the index of such rows has it."""


def is_latest(table: Table) -> ColumnElement[bool]:
    """Return the condition that a row is the latest version of its logical object.

    Its 1 is a literal: with a parameter in its place PostgreSQL could not use the index of such
    rows, and SQLite, which can, would compile the statement anew for each call.
    """
    return table.c.is_latest == literal_column("1")


_ELSEWHERE: Final = frozenset({"patient_id"})
"""Searched in a table beside."""


def _object(name: str, kind: type[MetadataObject], *special: Column[Any]) -> Table:
    """Return the table of a kind; ``special`` are columns of which more is to be said."""
    first: tuple[Column[Any], ...] = (
        Column("entry_uuid", EntryUUID, nullable=False, unique=True),
        Column("availability_status", STATUSES, nullable=False),
        *special,
    )
    there = {"pk", *(column.name for column in first)}
    fragment = Column("fragment", LargeBinary, nullable=False)
    return hiding(name, Key, *first, *_searched(kind, there), fragment)


def _searched(kind: type[MetadataObject], there: set[str]) -> Iterator[Column[Any]]:
    """Yield a column for each attribute that is searched and has one value at most."""
    for name, index in kind.indexes().items():
        if index.single and name not in there | _ELSEWHERE:
            yield Column(name, _TYPES[index.searched])


def _patient() -> Column[Any]:
    return Column("patient", Key, ForeignKey("patient.pk"), nullable=False)


def _kept() -> tuple[Column[Any], ...]:
    """Return what the registry itself knows: when an object was registered and last changed.

    And of which search version the row is (:data:`SEARCH_VERSIONS`).
    """
    return (
        Column("registered_at", Instant, nullable=False),
        Column("last_updated_at", Instant, nullable=False),
        Column("search_version", SmallInteger, nullable=False, server_default="0"),
    )


def _version() -> tuple[Column[Any], ...]:
    return (
        Column("logical_id", EntryUUID, nullable=False, index=True),
        Column("version", Integer, nullable=False),
        Column("is_latest", SmallInteger, nullable=False, server_default="1"),
    )


document_entry = _object(
    "document_entry",
    DocumentEntry,
    Column("object_type", DOCUMENT_ENTRY_TYPES, nullable=False),
    _patient(),
    Column("unique_id", UniqueId, nullable=False, index=True),
    *_version(),
    Column("class_code", Text, index=True),
    Column("healthcare_facility_type_code", Text, index=True),
    *_kept(),
)
Index("ix_document_entry_patient", document_entry.c.patient, document_entry.c.pk)

submission_set = _object(
    "submission_set",
    SubmissionSet,
    _patient(),
    Column("unique_id", UniqueId, nullable=False, unique=True),
    Column("source_id", Text, nullable=False),
    Column("submission_time", Instant, nullable=False),
    *_kept(),
)
Index("ix_submission_set_patient", submission_set.c.patient, submission_set.c.pk)

folder = _object(
    "folder",
    Folder,
    _patient(),
    Column("unique_id", UniqueId, nullable=False, index=True),
    *_version(),
    Column("last_update_time", Instant, nullable=False),
    *_kept(),
)
Index("ix_folder_patient", folder.c.patient, folder.c.pk)

association = _object(
    "association",
    Association,
    Column("association_type", ASSOCIATION_TYPES, nullable=False),
    Column("source", EntryUUID, nullable=False, index=True),
    Column("target", EntryUUID, nullable=False, index=True),
)

TABLES: Final[Mapping[type[MetadataObject], Table]] = {
    SubmissionSet: submission_set,
    DocumentEntry: document_entry,
    Folder: folder,
    Association: association,
}
"""The table of each kind of object."""
KINDS: Final[Mapping[str, type[MetadataObject]]] = {t.name: kind for kind, t in TABLES.items()}
"""The kind of object in each table, by the table's name."""

SEARCH_VERSIONS: Final[Mapping[str, int]] = {"document_entry": 2, "submission_set": 0, "folder": 0}
"""Of each table, how often what is searched of its objects has changed.

A row has the version of the program that wrote it. Those of a lower version lack something, which
:mod:`xds.registry.storage.refilling` puts in: whoever has an attribute searched counts its table
one up, and has a migration make the index of such rows anew.
"""


def is_behind(table: Table) -> ColumnElement[bool]:
    """Return the condition on rows of a lower version: without parameters, as its index needs."""
    version: ColumnElement[int] = literal_column(str(SEARCH_VERSIONS[table.name]))
    return type_coerce(table.c.search_version, SmallInteger) < version


for _table in (document_entry, folder):
    Index(
        f"ix_{_table.name}_latest",
        _table.c.patient,
        _table.c.pk,
        sqlite_where=text(IS_LATEST),
        postgresql_where=text(IS_LATEST),
    )
for _table in (document_entry, submission_set, folder):
    if SEARCH_VERSIONS[_table.name]:
        Index(
            f"ix_{_table.name}_behind",
            _table.c.pk,
            sqlite_where=is_behind(_table),
            postgresql_where=is_behind(_table),
        )


VALUE_ATTRIBUTES: Final = Term(
    (
        "confidentiality_code",
        "event_code_list",
        "author",
        "reference_id_list",
        "code_list",
        "further_codes",
        "further_identifiers",
        "author_institution",
    )
)
"""Attributes with any number of values that queries search; new ones go to the end."""

_SEVERAL: Final = {
    name
    for kind in (DocumentEntry, SubmissionSet, Folder)
    for name, index in kind.indexes().items()
    if not index.single
}
if _LACKING := _SEVERAL.difference(VALUE_ATTRIBUTES.terms):
    raise TypeError(f"searched with several values, and not in VALUE_ATTRIBUTES: {_LACKING}")
if _BEYOND := set(VALUE_ATTRIBUTES.terms) - _SEVERAL:
    raise TypeError(f"in VALUE_ATTRIBUTES, and not searched with several values: {_BEYOND}")


def _values(owner: Table) -> Table:
    return Table(
        f"{owner.name}_value",
        METADATA,
        Column("owner", Key, primary_key=True),  # of a row that the same statement inserts
        Column("attribute", VALUE_ATTRIBUTES, primary_key=True),
        Column("value", Text, primary_key=True),
        sqlite_with_rowid=False,
    )


document_entry_value = _values(document_entry)
submission_set_value = _values(submission_set)
folder_value = _values(folder)
INDEXED_VALUES: Final = frozenset(
    {"event_code_list", "reference_id_list", "code_list", "further_identifiers"}
)
"""Attributes whose values lead to their objects without knowing the patient (ITI TF-2 3.51)."""


def value_attribute(name: str) -> ColumnElement[int]:
    """Return an attribute's number as SQL text, which lets the index of its values be used."""
    return literal_column(str(VALUE_ATTRIBUTES.terms.index(name)))


VALUES: Final[Mapping[str, Table]] = {
    "document_entry": document_entry_value,
    "submission_set": submission_set_value,
    "folder": folder_value,
}
for _name in sorted(INDEXED_VALUES):
    for _owner, _table in VALUES.items():
        if _name not in KINDS[_owner].indexes():
            continue
        _is_attribute = type_coerce(_table.c.attribute, SmallInteger) == value_attribute(_name)
        Index(
            f"ix_{_table.name}_{_name}",
            _table.c.value,
            sqlite_where=_is_attribute,
            postgresql_where=_is_attribute,
        )

event = Table(
    "event",
    METADATA,
    Column("pk", Key, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("at", Instant, nullable=False),
    Column("object_kind", Text, nullable=False),
    Column("entry_uuid", EntryUUID),
    Column("patient", Key),
    Column("survivor", Key),
    Column("submission_set", EntryUUID),
    Column("snapshot", LargeBinary),
    Column("snapshot_status", STATUSES),
)
"""What happened, written in the commit that made it happen; subscribers read on from a number.

Each foreign key costs a look-up a row, and these two columns are of patients that the same commit
has looked up before; a patient is never removed.

``patient`` is the one of that time: a merge does not rewrite events. An event of a patient has no
``entry_uuid``; that of a merge names the ``survivor`` of this merge. That of a removal has the
fragment of what was removed, and the availabilityStatus that it had.
"""
Index(
    "ix_event_removed",
    event.c.entry_uuid,
    sqlite_where=event.c.snapshot.is_not(None),
    postgresql_where=event.c.snapshot.is_not(None),
)

legal_hold = Table(
    "legal_hold",
    METADATA,
    Column("unique_id", UniqueId, primary_key=True),
    Column("at", Instant, nullable=False),
    Column("reason", Text, nullable=False),
    sqlite_with_rowid=False,
)
"""Documents, by their uniqueIds, that nobody may remove: neither their bytes nor their metadata."""
