"""The patients that the registry knows, by identifier: enough to find a subject (PDQm 2:3.78).

There is no list of all patients, and no more is known of one than its id and its merges. A patient
of whom all documents are withheld from the caller is as one who is not known.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from urllib.parse import urlencode

from xds.fhir.datatypes.context import Writing
from xds.fhir.exchange import Answer, Call
from xds.fhir.facade import Facade
from xds.fhir.http.versions import rendered, versioned
from xds.fhir.r4.json import Rendered
from xds.fhir.r4.outcome import Refused
from xds.fhir.r4.resource import Resource
from xds.fhir.search import searchset
from xds.fhir.search.paging import Position, cut
from xds.fhir.search.requests import Selection, problem
from xds.fhir.search.searchset import SearchRequest
from xds.metadata.criteria import ANYTHING
from xds.mhd.mapping.patients import patient_resource
from xds.mhd.search.criteria import identifying, patient_ids, patient_number
from xds.mhd.search.parameters import PATIENTS
from xds.registry.queries.views import KnownPatient, RegistryView
from xds.security.details import PatientDetails, QueryDetails


def find(facade: Facade, call: Call) -> Answer:
    """Search Patients by identifier or id."""
    search = SearchRequest.read(call, PATIENTS)
    writing = Writing(facade.domain.systems, call.base)
    with facade.domain.registry.view(call.access.visible) as view:
        found = [_found(one, facade, view) for one in search.selections]
        numbers = set.intersection(*(set(known) for known in found))
        everything = [patient for number, patient in sorted(found[0].items()) if number in numbers]
        page = cut(everything, _position, search.wanted, view.most)
    patient_ids = [patient.patient_id for patient in page.found]
    call.access.details = replace(_details(call, patient_ids), results=len(patient_ids))
    resources = [
        facade.resources.rendered((patient, call.base), partial(_rendered, patient, writing))
        for patient in page.found
    ]
    return Answer(resource=search.searchset(None, page, resources))


def describe(facade: Facade, call: Call) -> None:
    """Say who is searched for, known or not; Refused where the request is wrong."""
    search = SearchRequest.read(call, PATIENTS)
    with facade.domain.registry.view(ANYTHING) as view:
        named = [one for each in search.selections for one in _named(each, facade, view)]
    call.access.details = _details(call, named)


def _details(call: Call, patient_ids: Sequence[str]) -> QueryDetails:
    return QueryDetails(
        "Patient", lambda: f"Patient?{urlencode(call.parameters)}", lambda: patient_ids
    )


def read(facade: Facade, call: Call) -> Answer:
    """Read one Patient by its id, its number in the registry."""
    number = patient_number(call.identifier)
    with facade.domain.registry.view(call.access.visible) as view:
        known = view.not_all_withheld(view.patients_by_number([] if number is None else [number]))
    call.access.details = PatientDetails(tuple(patient.patient_id for patient in known))
    writing = Writing(facade.domain.systems, call.base)
    return searchset.read(call, PATIENTS, _resource(known[0], writing) if known else None)


def _resource(patient: KnownPatient, writing: Writing) -> Resource:
    return versioned(patient_resource(patient, context=writing), writing.base)


def _rendered(patient: KnownPatient, writing: Writing) -> Rendered:
    return rendered(patient_resource(patient, context=writing), writing.base)


def _found(selection: Selection, facade: Facade, view: RegistryView) -> dict[int, KnownPatient]:
    """Return the patients that one parameter names, by their numbers."""
    known = view.patients(_named(selection, facade, view))
    return {patient.number: patient for patient in view.not_all_withheld(known)}


def _named(selection: Selection, facade: Facade, view: RegistryView) -> list[str]:
    """Return the patient ids (CX) that one parameter may stand for."""
    asked = selection.asked
    if selection.row.name == "_id":
        numbers = [number for value in asked.values if (number := patient_number(value.strip()))]
        return [known.patient_id for known in view.patients_by_number(numbers)]
    try:
        tokens = identifying(asked)
    except ValueError as reason:
        raise Refused(400, [problem(asked.name, "value", str(reason))]) from None
    return sorted({one for token in tokens for one in patient_ids(token, facade.names, view)})


def _position(patient: KnownPatient) -> Position:
    return Position((), 0, patient.number)
