"""A patient: ids and merges, documents with the newest first, and breaking the glass."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from xds.accounts.roles import ConsoleRole
from xds.accounts.sessions import Emergency
from xds.audit import trail
from xds.console.views import shown
from xds.console.visits import Answer, PageContent, PageNotFound, SeeOther, Visit
from xds.metadata import vocabulary as v
from xds.metadata.catalogue import ITI_67, ITI_78
from xds.metadata.criteria import Comparison, Criterion, Operator, before, equal, since
from xds.metadata.datatypes import is_oid
from xds.metadata.objects import DocumentEntry
from xds.registry import patient_links
from xds.registry.queries.search import Order, Page
from xds.registry.queries.views import Found, KnownPatient, RegistryView
from xds.security.access import Access
from xds.security.details import PatientDetails, QueryDetails

_UUID_URN: Final = "urn:uuid:"
_SHOWN: Final = 25
_FACETED: Final = 200
"""Of the newest documents, so many are looked at for what can be chosen from."""
_LEAST_REASON: Final = 10
_MOST_REASON: Final = 500
_HOUR: Final = 3_600_000
_NEWEST: Final = (Order("creation_time", descending=True), Order("number", descending=True))

CODED: Final = {
    "class": ("class_code", "Class"),
    "type": ("type_code", "Type"),
    "setting": ("practice_setting_code", "Practice setting"),
}
"""What documents can be chosen by that is coded, by the parameter."""
FILTERS: Final = (
    *CODED,
    "status",
    "format",
    "organisation",
    "source",
    "repository",
    "since",
    "until",
)
_STATUSES: Final = {"approved": v.APPROVED, "deprecated": v.DEPRECATED}


@dataclass(frozen=True, slots=True)
class FacetChoice:
    """One value that documents can be chosen by."""

    value: str
    name: str
    count: int


@dataclass(frozen=True, slots=True)
class Facet:
    """One thing that documents can be chosen by."""

    parameter: str
    name: str
    choices: tuple[FacetChoice, ...]


@dataclass(frozen=True, slots=True)
class ListedDocument:
    """A document in a list."""

    uuid: str
    created: str
    title: str
    type: str
    class_: str
    organisation: str
    mime_type: str
    status: str


def show(visit: Visit) -> Answer:
    """Show a patient and the documents that are chosen."""
    number: int = visit.path["number"]
    with visit.passing(ITI_78.name, patient=number) as access:
        with visit.domain.registry.view(access.visible) as view:
            known = _known(view, number)
            identity = _identity(view, known)
        access.details = PatientDetails((known.patient_id,))
    start = int(visit.given["start"]) if re.fullmatch("[0-9]{1,6}", visit.given["start"]) else 0
    with visit.passing(ITI_67.name, patient=number) as access:
        access.details = _details(visit, known.patient_id)
        with visit.domain.registry.view(access.visible) as view:
            documents = _documents(view, [_of(known), *_criteria(visit)], start)
            facets = list(_facets(visit, view, known))
        withheld = _withheld(visit, access, known)
    return PageContent(
        {
            "number": number,
            **identity,
            "documents": documents[:_SHOWN],
            "facets": facets,
            "chosen": {name: visit.given[name] for name in FILTERS},
            "newer": _place(visit, max(start - _SHOWN, 0)) if start else "",
            "older": _place(visit, start + _SHOWN) if len(documents) > _SHOWN else "",
            "withheld": withheld,
            "emergency": visit.logged_in.emergency(number),
            "least_reason": _LEAST_REASON,
            "sees_readers": visit.has(ConsoleRole.PRIVACY),
        },
        title=identity["person"].name or "Patient",
    )


def _known(view: RegistryView, number: int) -> KnownPatient:
    """Return the patient of a number; PageNotFound where there is none, or all is withheld."""
    for known in view.not_all_withheld(view.patients_by_number([number])):
        return known
    raise PageNotFound


def _identity(view: RegistryView, known: KnownPatient) -> dict[str, Any]:
    others = patient_links.linked(view.connection, [known.patient_id])
    subsumed = view.subsumed_by(known.number)
    ids = [known.patient_id, *others.get(known.patient_id, {}).values()]
    details = patient_links.details(view.connection, ids)
    about = next((details[one] for one in ids if one in details), None)
    return {
        "person": shown.person(about),
        "identifiers": [shown.identifier(one) for one in dict.fromkeys(ids)],
        "survivor": known.survivor,
        "subsumed": [(one.number, shown.identifier(one.patient_id)) for one in subsumed],
    }


def _of(known: KnownPatient) -> Criterion:
    return equal("patient_id", [known.patient_id])


def _details(visit: Visit, patient_id: str) -> QueryDetails:
    asked = {"patient": patient_id, **{n: t for n in FILTERS if (t := visit.given[n])}}
    return QueryDetails(
        "DocumentReference", lambda: f"DocumentReference?{urlencode(asked)}", lambda: (patient_id,)
    )


def _criteria(visit: Visit) -> Iterator[Criterion]:
    given = visit.given
    for parameter, (attribute, _) in CODED.items():
        if given[parameter]:
            yield equal(attribute, [given[parameter]])
    if given["status"] in _STATUSES:
        yield equal("availability_status", [_STATUSES[given["status"]]])
    if given["organisation"]:
        yield equal("author_institution", [given["organisation"]])
    if given["format"]:
        yield equal("format_code", [given["format"]])
    if given["repository"]:
        yield equal("repository_unique_id", [given["repository"]])
    if is_oid(given["source"]):
        yield Comparison("source_patient_id", Operator.LIKE, (f"%&{given['source']}&ISO",))
    for parameter, compare in (("since", since), ("until", before)):
        if re.fullmatch(r"\d{4}-\d\d-\d\d", given[parameter], re.ASCII):
            yield compare("creation_time", given[parameter].replace("-", ""))


def _documents(
    view: RegistryView, criteria: Sequence[Criterion], start: int
) -> list[ListedDocument]:
    page = Page(start, _SHOWN + 1)
    found = view.find(DocumentEntry, criteria, order=_NEWEST, page=page)
    return [listed(one) for one in found]


def listed(one: Found[DocumentEntry]) -> ListedDocument:
    """Return a document as lists show it."""
    entry = one.content
    return ListedDocument(
        one.found.entry_uuid.removeprefix(_UUID_URN),
        entry.creation_time or "",
        entry.title or "",
        shown.code(entry.type_code),
        shown.code(entry.class_code),
        "; ".join(shown.institutions(entry.author)),
        entry.mime_type or "",
        shown.status(one.found.availability_status),
    )


def _facets(visit: Visit, view: RegistryView, known: KnownPatient) -> Iterator[Facet]:
    """Yield what the newest documents of the patient can be chosen by.

    The source is who assigned the id that the patient has there (sourcePatientId).
    """
    named = {one.oid: one.name for one in visit.domain.systems.rows}
    found = view.find(DocumentEntry, [_of(known)], order=_NEWEST, page=Page(0, _FACETED))
    counts: dict[str, Counter[tuple[str, str]]] = {}

    def count(parameter: str, value: str, name: str) -> None:
        counts.setdefault(parameter, Counter())[value, name] += 1

    for one in found:
        entry = one.content
        for parameter, (attribute, _) in CODED.items():
            if code := getattr(entry, attribute):
                count(parameter, str(code), code.display_name or code.code)
        if entry.format_code:
            name = entry.format_code.display_name or entry.format_code.code
            count("format", str(entry.format_code), name)
        for author in entry.author:
            for text in author.institution:
                count("organisation", text, text.partition("^")[0])
        if entry.repository_unique_id:
            count("repository", entry.repository_unique_id, entry.repository_unique_id)
        if source := shown.identifier(entry.source_patient_id or "").oid:
            count("source", source, named.get(source, source))
    names = {**{one: name for one, (_, name) in CODED.items()}, "format": "Format"}
    names |= {"organisation": "Organisation", "source": "Source", "repository": "Repository"}
    for parameter, name in names.items():
        ordered = sorted(counts.get(parameter, Counter()).items(), key=lambda one: one[0][1])
        yield Facet(
            parameter, name, tuple(FacetChoice(*which, number) for which, number in ordered)
        )


def _place(visit: Visit, start: int) -> str:
    chosen = {name: text for name in FILTERS if (text := visit.given[name])}
    return f"?{urlencode({**chosen, 'start': start})}"


# --- breaking the glass --------------------------------------------------------------------------


def _withheld(visit: Visit, access: Access, known: KnownPatient) -> int:
    """Return how many documents more there would be in an emergency, for who may have one."""
    if access.break_glass or not visit.has(ConsoleRole.CLINICIAN):
        return 0
    registry = visit.domain.registry
    with registry.view(visit.would_see(ITI_67.name, is_emergency=True)) as view:
        whole = view.count(DocumentEntry, [_of(known)])
    with registry.view(access.visible) as view:
        return max(whole - view.count(DocumentEntry, [_of(known)]), 0)


def break_glass(visit: Visit) -> Answer:
    """Have the rest of the session be an emergency of this patient, for an hour at most."""
    number: int = visit.path["number"]
    with visit.domain.registry.view(visit.would_see(ITI_78.name, is_emergency=True)) as view:
        known = _known(view, number)
    reason = " ".join(visit.given["reason"].split())
    if not _LEAST_REASON <= len(reason) <= _MOST_REASON:
        values = {"number": number, "reason": reason, "least": _LEAST_REASON, "most": _MOST_REASON}
        return PageContent(values, status=400, title="Error: Break the glass")
    session = visit.logged_in
    caller = visit.caller_of(is_emergency=True)
    visit.record(trail.of_emergency(caller, known.patient_id, shown.plain(reason)))
    emergency = Emergency(number, reason, session.now + _HOUR)
    visit.console.sessions.note_emergency(session, emergency)
    return SeeOther(f"/patients/{number}")
