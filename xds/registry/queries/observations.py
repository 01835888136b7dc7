"""Finding the structured results of documents: by patient, by code, by time, as policy allows.

Found are results of documents whose entry is visible in its latest version, Approved, and here; so
those of a document that was replaced, removed or given to another patient are not.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import Select, bindparam, exists, literal_column, or_, select

from xds.database.lists import one_of
from xds.database.reading import fetch
from xds.metadata import vocabulary as v
from xds.metadata.criteria import Criterion, all_of
from xds.registry.queries.conditions import Condition, Shape, bind, conditions
from xds.registry.queries.views import RegistryView
from xds.registry.queries.visibility import Sight, seen
from xds.registry.storage.observations import observation, observation_code
from xds.registry.tables import document_entry, is_latest, patient

_C: Final = observation_code.c
_O: Final = observation.c


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedObservations:
    """Which results are looked for, beside what is asked of the documents that have them."""

    codes: Sequence[tuple[str, str]] = ()
    """Code and codingScheme, which is empty where any will do; none: of any code."""
    since: str = ""
    """DTM: only those of that time or later."""
    until: str = ""
    """DTM: only those before."""
    earlier: bool = False
    """Whether results are found as well that a document only cites."""


@dataclass(frozen=True, slots=True)
class StoredObservation:
    """One result as it is stored, and whose it is."""

    logical_id: str
    position: int
    content: str
    """All of it, as JSON."""
    entry_uuid: str
    """Of the latest version of the entry."""
    unique_id: str
    """Of the document, in its normal form."""
    patient_id: str


def find(
    view: RegistryView,
    criteria: Sequence[Criterion],
    wanted: WantedObservations,
    *,
    most: int,
    start: int = 0,
) -> list[StoredObservation]:
    """Return the results of documents that meet criteria, the latest first."""
    bound = bind(all_of(criteria))
    parts = (bool(wanted.codes), bool(wanted.since), bool(wanted.until), wanted.earlier)
    query = _statement(bound.shape, view.visible.sight, *parts)
    values = {
        **bound.values,
        **view.visible.values,
        "most": most,
        "start": start,
        "since": wanted.since or None,
        "until": wanted.until or None,
        "codes": [code for code, _ in wanted.codes],
        "bare": [code for code, scheme in wanted.codes if not scheme],
        "tokens": [f"{code}|{scheme}" for code, scheme in wanted.codes if scheme],
    }
    return [StoredObservation(*row) for row in fetch(view.connection, query, values)]


@lru_cache(maxsize=200)
def _statement(
    shape: Shape, sight: Sight, by_code: bool, since: bool, until: bool, earlier: bool
) -> Select[Any]:
    source = document_entry.join(patient, document_entry.c.patient == patient.c.pk).join(
        observation, _O.logical_id == document_entry.c.logical_id
    )
    found = (
        select(
            _O.logical_id,
            _O.position,
            _O.content,
            document_entry.c.entry_uuid,
            document_entry.c.unique_id,
            patient.c.patient_id,
        )
        .select_from(source)
        .where(
            *conditions(document_entry, shape),
            *seen(document_entry, sight),
            is_latest(document_entry),
            document_entry.c.availability_status == v.APPROVED,
            or_(
                document_entry.c.document_availability.is_(None),
                document_entry.c.document_availability != v.OFFLINE,
            ),
            *_of_results(by_code, since, until, earlier),
        )
    )
    order = (_O.time.is_(None), _O.time.desc(), _O.logical_id, _O.position)
    return found.order_by(*order).limit(bindparam("most")).offset(bindparam("start"))


def _of_results(by_code: bool, since: bool, until: bool, earlier: bool) -> Iterator[Condition]:
    if by_code:
        # first by the index of codes
        token = _C.code.concat("|").concat(_C.coding_scheme)
        yield exists(
            select(_C.position).where(
                _C.logical_id == _O.logical_id,
                _C.position == _O.position,
                one_of.named(_C.code, "codes"),
                or_(one_of.named(_C.code, "bare"), one_of.named(token, "tokens")),
            )
        )
    if since:
        yield _O.time >= bindparam("since", type_=_O.time.type)
    if until:
        yield _O.time < bindparam("until", type_=_O.time.type)
    if not earlier:
        yield _O.is_earlier == literal_column("0")
