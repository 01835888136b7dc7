"""Registrations in bulk: what many submissions, registered one by one, would leave in the tables.

It is for filling an empty registry with what is known to be lawful: nothing is checked against the
rules, and nobody else is in the way. An object's row is what :mod:`xds.registry.storage.rows` makes
of its pattern, with the blanks filled in; the consequences of a submission for what came before it
are those of :mod:`xds.registry.consequences`, done to rows that are not in the database yet. A test
holds the two ways of registering against each other.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import count
from typing import Any, Final, cast

from sqlalchemy import Connection, Table

from xds.database.statements import copy_rows
from xds.metadata import vocabulary as v
from xds.metadata.objects import (
    Association,
    DocumentEntry,
    Folder,
    MetadataObject,
    SubmissionSet,
)
from xds.metadata.patterns import Draft, Pattern, Text, blank, blanks, escaped, filled, pattern
from xds.registry import events
from xds.registry.storage.fragments import kept, rendered
from xds.registry.storage.rows import prepared
from xds.registry.tables import TABLES, VALUES, event, patient, searchable

Row = dict[str, Any]

MOST: Final[Mapping[Table, int]] = {
    patient: 1,
    TABLES[SubmissionSet]: 1,
    TABLES[DocumentEntry]: 1,
    TABLES[Folder]: 1,
    TABLES[Association]: 12,
    event: 8,
}
"""Rows of each table that one DocumentEntry brings at most: what keeps numbers apart."""

_MEMBER: Final = Association.create(
    association_type=v.HAS_MEMBER, source=blank("source"), target=blank("target")
)
_DEPENDANT: Final = frozenset({v.XFRM, v.APND})


class _Stamp:
    """What the rows of a pattern's objects are, but for their blanks."""

    def __init__(self, made: Pattern) -> None:
        thing = made.thing
        # a size is a number in its column, so it is left out here and put in with the blanks
        sized = thing.updated(size=None) if isinstance(thing, DocumentEntry) else thing
        ready = prepared(sized, "2000")
        self.text = Text(rendered(thing))
        self.ends = ("source", "target") if isinstance(thing, Association) else ()
        self.constant = ready.row
        self.varying = [
            (name, Text(text))
            for name, text in ready.row.items()
            if isinstance(text, str) and blanks(text)
        ]
        self.values = [(attribute, Text(text)) for attribute, text in ready.values]
        self.size = Text(thing.size) if isinstance(thing, DocumentEntry) and thing.size else None

    def row(self, draft: Draft, now: str) -> Row:
        """Return the row of a draft but for what only the registry knows."""
        row, values = self.constant.copy(), draft.values
        for name, text in self.varying:
            row[name] = searchable(text.filled(values))
        for name in _TIMES & row.keys():
            row[name] = now
        if self.size is not None:
            row["size"] = self.size.filled(values)
        ends = [values[name] for name in self.ends]
        row["fragment"] = kept(self.text.filled(escaped(values)), draft.id, *ends)
        return row

    def value_rows(self, owner: int, values: Mapping[str, str]) -> Iterator[Row]:
        """Return the rows of what is searched and stands in no column."""
        texts = {(name, searchable(text.filled(values))): None for name, text in self.values}
        for attribute, text in texts:
            yield {"owner": owner, "attribute": attribute, "value": text}


_TIMES: Final = frozenset({"registered_at", "last_updated_at", "last_update_time"})


@cache
def _stamp(made: Pattern) -> _Stamp:
    return _Stamp(made)


@cache
def _membership() -> Pattern:
    return pattern(_MEMBER)


@dataclass(slots=True)
class Bulk:
    """Rows that belong together: no object in them refers to one of another bulk."""

    first: int
    """How many DocumentEntries are in the bulks before: numbers of rows begin after theirs."""
    first_patient: int
    new_uuid: Callable[[], str]
    rows: dict[Table, list[Row]] = field(default_factory=lambda: defaultdict(list))
    _numbers: dict[Table, "count[int]"] = field(default_factory=dict)
    _patients: dict[str, int] = field(default_factory=dict)
    _by_uuid: dict[str, Row] = field(default_factory=dict)
    _folders: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    """By DocumentEntry: the Folders that hold it."""
    _dependants: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def know(self, patient_id: str) -> int:
        """Make a patient id known, if it is not, and return its number."""
        known_as = searchable(patient_id)
        if known_as not in self._patients:
            number = self.first_patient + len(self._patients) + 1
            self._patients[known_as] = number
            self.rows[patient].append({"pk": number, "patient_id": known_as})
        return self._patients[known_as]

    def register(self, drafts: Sequence[Draft], patient_id: str, now: str) -> None:
        """Register a lawful submission of drafts, its SubmissionSet first, at a time (DTM)."""
        key = self.know(patient_id)
        submission_set = drafts[0].id
        relations = [draft for draft in drafts if _kind(draft) is Association]
        replaced = {a.values["target"]: a.values["source"] for a in relations if _replaces(a)}
        inherited, gaining = self._planned(submission_set, relations, replaced)
        for kind in TABLES:
            for draft in (*drafts, *inherited):
                if _kind(draft) is kind:
                    self._insert(draft, kind, key, now)
        told = [(events.REGISTERED, _kind(draft), draft.id) for draft in drafts]
        told += self._deprecate(replaced, now)
        told += self._update(gaining, now)
        for happened, kind, uuid in told:
            if kind in events.EVENT_OBJECTS:
                self._tell(happened, kind, uuid, key, now, submission_set)

    def _planned(
        self, submission_set: str, relations: Sequence[Draft], replaced: Mapping[str, str]
    ) -> tuple[list[Draft], list[str]]:
        """Return the memberships that are inherited, and the registered Folders that gain."""
        members = {(a.values["source"], a.values["target"]) for a in relations}
        pairs = {
            (holder, new): None
            for old, new in replaced.items()
            for holder in self._folders[old]
            if (holder, new) not in members
        }
        inherited: list[Draft] = []
        for holder, new in pairs:
            inherited.append(self._member(holder, new))
            inherited.append(self._member(submission_set, inherited[-1].id))
        named = [a.values["source"] for a in relations]
        known = [uuid for uuid in named if "last_update_time" in self._by_uuid.get(uuid, {})]
        return inherited, list(dict.fromkeys([*known, *(holder for holder, _ in pairs)]))

    def _member(self, source: str, target: str) -> Draft:
        made = _membership()
        return filled(made, self.new_uuid(), {"source": source, "target": target})

    def _insert(self, draft: Draft, kind: type[MetadataObject], key: int, now: str) -> None:
        table = TABLES[kind]
        stamp = _stamp(draft.pattern)
        row = stamp.row(draft, now)
        row["pk"] = self._number(table)
        self.rows[table].append(row)
        self._by_uuid[draft.id] = row
        if kind is Association:
            self._join(draft)
            return
        row["patient"] = key
        self.rows[VALUES[table.name]].extend(stamp.value_rows(row["pk"], draft.values))

    def _join(self, draft: Draft) -> None:
        source, target = draft.values["source"], draft.values["target"]
        kind = cast("Association", draft.pattern.thing).association_type
        if kind in _DEPENDANT:
            self._dependants[target].append(source)
        elif kind == v.HAS_MEMBER and "last_update_time" in self._by_uuid[source]:
            self._folders[target].append(source)

    def _deprecate(self, replaced: Mapping[str, str], now: str) -> Iterator["_Told"]:
        found = dict.fromkeys(replaced)
        frontier = list(replaced)
        while frontier:
            dependants = dict.fromkeys(d for uuid in frontier for d in self._dependants[uuid])
            frontier = [d for d in dependants if d not in found and d not in set(replaced.values())]
            found.update(dict.fromkeys(frontier))
        for uuid in found:
            row = self._by_uuid[uuid]
            if row["availability_status"] == v.APPROVED:
                row.update(availability_status=v.DEPRECATED, last_updated_at=now)
                yield events.DEPRECATED, DocumentEntry, uuid

    def _update(self, folders: Iterable[str], now: str) -> Iterator["_Told"]:
        for uuid in folders:
            self._by_uuid[uuid].update(last_update_time=now, last_updated_at=now)
            yield events.CONTENT_UPDATED, Folder, uuid

    def _tell(self, *told: Any) -> None:
        happened, kind, uuid, key, now, submission_set = told
        self.rows[event].append(
            {
                "pk": self._number(event),
                "kind": happened,
                "at": now,
                "object_kind": kind.KIND,
                "entry_uuid": uuid,
                "patient": key,
                "submission_set": submission_set,
            }
        )

    def _number(self, table: Table) -> int:
        if table not in self._numbers:
            self._numbers[table] = count(self.first * MOST[table] + 1)
        return next(self._numbers[table])

    def write(self, connection: Connection) -> None:
        """Copy all rows into their tables."""
        for table in (patient, *TABLES.values(), *VALUES.values(), event):
            copy_rows(connection, table, self.rows[table])


_Told = tuple[str, type[MetadataObject], str]


def _kind(draft: Draft) -> type[MetadataObject]:
    return type(draft.pattern.thing)


def _replaces(draft: Draft) -> bool:
    thing = draft.pattern.thing
    return isinstance(thing, Association) and thing.association_type in v.REPLACEMENTS
