"""What happens to a population: who is treated when, and what is shared of it.

Most patients have the typical number of documents, give or take one; one in fifty has some dozens,
and a few have more than a thousand. A submission has one to four documents. A tenth of all are
replaced later, some have an addendum or a transformation, and one patient in three has a Folder,
which later documents enter.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Final

from bench.load import patterns, random_values
from bench.load.document_kinds import DocumentKind, catalogue
from bench.load.random_values import Values
from xds.metadata import vocabulary as v
from xds.metadata.objects import DocumentEntry
from xds.metadata.patterns import Draft, Pattern, filled

MEAN: Final = 8
"""DocumentEntries for each patient where nobody says otherwise: most have six to eight then."""
REPOSITORY: Final = "2.999.1.30"
"""The repositoryUniqueId of what is made: of no repository that there is."""

_FREQUENT, _SOME_DOZENS = 50, (30, 80)
_RARE, _MORE_THAN_A_THOUSAND = 10_000, (1_001, 1_400)
_MOST_FOR_THEM: Final = 0.25
"""The share of all documents that these patients have at most."""
_SUBMISSION_SIZES: Final = (1, 1, 1, 1, 1, 1, 2, 2, 3, 4)
_RELATIONS: Final = ((v.RPLC, 0.18), (v.APND, 0.21), (v.XFRM, 0.22))
"""Of a hundred submissions, 18 replace a document of before, 3 add to one, 1 transforms one."""
_HAS_FOLDER, _ENTERS = 0.35, 0.5
_BEGIN: Final = datetime(2024, 1, 1)
_YEARS: Final = timedelta(days=730)
_BLOCK: Final = 3_000


NewUuid = Callable[[], str]


@dataclass(frozen=True, slots=True)
class Registration:
    """One submission: its objects, the SubmissionSet first, whose they are, and when it came."""

    drafts: Sequence[Draft]
    patient_id: str
    now: str
    """DTM of 14 digits, UTC."""


@dataclass(frozen=True, slots=True)
class Population:
    """How many documents of how many patients; the same seed makes the same."""

    entries: int
    patients: int
    seed: int = 1
    authority: str = random_values.AUTHORITY
    repository: str = REPOSITORY

    def blocks(self) -> "Iterator[Block]":
        """Yield parts of the population: each has patients whose submissions come by turns."""
        first = first_patient = 0
        counts: list[int] = []
        for number in self._counts():
            counts.append(number)
            if sum(counts) >= _BLOCK:
                yield Block(self, first, first_patient, tuple(counts))
                first, first_patient, counts = first + sum(counts), first_patient + len(counts), []
        if counts:
            yield Block(self, first, first_patient, tuple(counts))

    def _counts(self) -> Iterator[int]:
        """Yield how many DocumentEntries each patient has; they sum up to all."""
        chance = Random(self.seed)
        special = {
            **self._special(chance, _FREQUENT, _SOME_DOZENS, 0),
            **self._special(chance, _RARE, _MORE_THAN_A_THOUSAND, 1),
        }
        left, patients = self.entries - sum(special.values()), self.patients - len(special)
        for number in range(self.patients):
            if number in special:
                yield special[number]
                continue
            mean = left / patients
            mine = round(mean)
            if mean > 1 and patients > 1:
                mine = max(1, mine + chance.choice((-1, 0, 1)))
            mine = left if patients == 1 else min(mine, left)
            left, patients = left - mine, patients - 1
            yield mine

    def _special(
        self, chance: Random, one_in: int, between: tuple[int, int], offset: int
    ) -> dict[int, int]:
        room = int(self.entries * _MOST_FOR_THEM)
        found: dict[int, int] = {}
        for number in range(offset, self.patients, one_in):
            mine = chance.randint(*between)
            if (room := room - mine) >= 0:
                found[number] = mine
        return found


@dataclass(frozen=True, slots=True)
class Block:
    """A part of the population that nothing outside it refers to."""

    population: Population
    first: int
    """DocumentEntries before it."""
    first_patient: int
    counts: tuple[int, ...]
    """How many DocumentEntries each of its patients has."""

    @property
    def entries(self) -> int:
        """How many DocumentEntries it has."""
        return sum(self.counts)

    def chance(self, purpose: str = "story") -> Random:
        """Return the source of its random values; other purposes have one of their own."""
        return Random(f"{self.population.seed} {self.first} {purpose}")

    def registrations(self) -> Iterator[Registration]:
        """Yield its submissions in the order in which they came."""
        chance = self.chance()
        patients = [
            _Patient(self.population, self.first_patient + number, mine, chance)
            for number, mine in enumerate(self.counts)
        ]
        turns = [one for one in patients for _ in range(one.left)]
        chance.shuffle(turns)
        came = self.first
        for one in turns:
            if one.left:
                now = _BEGIN + _YEARS * (came / max(self.population.entries, 1))
                registration = one.submit(now)
                kinds = [type(draft.pattern.thing) for draft in registration.drafts]
                came += kinds.count(DocumentEntry)
                yield registration


@dataclass(slots=True, eq=False)
class _SharedDocument:
    """A document that was shared, and what it is an addendum to or a transformation of."""

    uuid: str
    kind: DocumentKind
    relation: str | None = None
    of: "_SharedDocument | None" = None

    def rests_on(self, other: "_SharedDocument") -> bool:
        """Tell whether it goes where the other is replaced."""
        return self is other or (self.of is not None and self.of.rests_on(other))


class _Patient:
    """A patient, who has been treated up to some moment."""

    def __init__(self, population: Population, number: int, entries: int, chance: Random) -> None:
        self.left = entries
        """DocumentEntries that are still to come."""
        self._repository = population.repository
        self._chance = chance
        self._person = random_values.person(chance, number, population.authority)
        self._current: list[_SharedDocument] = []
        self._wants_folder = entries > 2 and chance.random() < _HAS_FOLDER
        self._folder: str | None = None

    def submit(self, now: datetime) -> Registration:
        """Share the next documents."""
        some = min(self._chance.choice(_SUBMISSION_SIZES), self.left)
        self.left -= some
        stay = random_values.stay(self._chance, now, self._person)
        shared = [self._related(), *(self._new() for _ in range(some - 1))]
        the_set = self._made(patterns.submission_set(shared[0].kind), stay)
        drafts = [the_set, *(self._entry(one, stay) for one in shared)]
        drafts += [_member(self._uuid, the_set.id, one.uuid, v.ORIGINAL) for one in shared]
        drafts += [
            _association(self._uuid, one.relation, one.uuid, one.of.uuid)
            for one in shared
            if one.relation and one.of
        ]
        drafts += self._filed(the_set.id, shared, stay)
        self._current += shared
        return Registration(drafts, self._person["patient"], stay["submitted"])

    # --- documents ---

    def _related(self) -> _SharedDocument:
        """Choose the first document, which may relate to an earlier one."""
        drawn = self._chance.random()
        relation = next((kind for kind, limit in _RELATIONS if drawn < limit), None)
        if relation is None or not self._current:
            return self._new()
        earlier = self._chance.choice(self._current)
        if relation == v.APND and earlier.relation == v.XFRM:
            return self._new()  # a transformation has no addenda
        if relation == v.RPLC:
            self._current = [one for one in self._current if not one.rests_on(earlier)]
        return _SharedDocument(self._uuid(), earlier.kind, relation, earlier)

    def _new(self) -> _SharedDocument:
        kinds = catalogue().kinds
        (kind,) = self._chance.choices(kinds, cum_weights=catalogue().weights)
        return _SharedDocument(self._uuid(), kind)

    def _entry(self, one: _SharedDocument, stay: Values) -> Draft:
        more = random_values.document(self._chance, one.kind, self._repository)
        return self._made(patterns.entry(one.kind), {**stay, **more}, one.uuid)

    # --- Folders ---

    def _filed(self, the_set: str, shared: Sequence[_SharedDocument], stay: Values) -> list[Draft]:
        """Open a Folder with documents, or put them into the one that is there."""
        drafts: list[Draft] = []
        if not self._wants_folder:
            return drafts
        if self._folder is None:
            made = self._made(patterns.folder(), {**stay, **random_values.episode(shared[0].kind)})
            self._folder = made.id
            drafts += [made, _member(self._uuid, the_set, made.id)]
        elif self._chance.random() > _ENTERS:
            return drafts
        for one in shared:
            drafts.append(_member(self._uuid, self._folder, one.uuid))
            drafts.append(_member(self._uuid, the_set, drafts[-1].id))
        return drafts

    # --- ids ---

    def _uuid(self) -> str:
        return random_values.uuid(self._chance)

    def _made(self, made: Pattern, values: Values, own: str | None = None) -> Draft:
        named = {**values, "unique id": random_values.oid(self._chance)}
        return filled(made, own or self._uuid(), named)


def _association(new_uuid: NewUuid, kind: str, source: str, target: str) -> Draft:
    values = {"source": source, "target": target}
    return filled(patterns.association(kind), new_uuid(), values)


def _member(new_uuid: NewUuid, source: str, target: str, status: str | None = None) -> Draft:
    values = {"source": source, "target": target}
    return filled(patterns.association(v.HAS_MEMBER, status), new_uuid(), values)
