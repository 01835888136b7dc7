"""``Patient/{id}/$summary`` and ``Patient/$summary?identifier=``: a patient's summary (IPS 2.0).

``form=summary-cda`` asks for the CDA of it; a browser gets a page of either. The summary is made of
what the caller may see now, and kept nowhere. A patient of whom nothing is known has one that says
so; one whom the registry does not know, or whose documents are all withheld from the caller, has
none (404).
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from email.utils import formatdate
from functools import partial
from typing import Final
from urllib.parse import urlencode

from xds.content.pages.facts import RegistryFacts
from xds.content.reading.deployment import rules_of
from xds.fhir.exchange import Answer, Call, RawContent
from xds.fhir.facade import Facade
from xds.fhir.r4 import json
from xds.fhir.r4.outcome import Refused
from xds.fhir.r4.resource import Resource
from xds.fhir.search.values import Token
from xds.fhir.vocabulary import FHIR_JSON
from xds.fhir_forms.document import FORM, source_of
from xds.metadata.criteria import ANYTHING, Criterion
from xds.mhd.document_pages import page_answer, page_of, refusal_page, source_pages
from xds.mhd.search.criteria import patient_ids, patient_number
from xds.mhd.served_documents import extension_of
from xds.on_demand.forms import BuiltDocument, NotConvertible, OnDemandSource
from xds.registry.queries.views import KnownPatient, RegistryView
from xds.security.details import PatientDetails, RequestedDocument, RetrieveDetails

_IDENTIFIER: Final = "identifier"
_PROFILE: Final = "profile"
_OF_ANSWERS: Final = frozenset({"_format", "_pretty"})
_KNOWN: Final = (_IDENTIFIER, _PROFILE, FORM)
_IPS: Final = "http://hl7.org/fhir/uv/ips/StructureDefinition/"
_PROFILES: Final = frozenset({f"{_IPS}Bundle-uv-ips", f"{_IPS}Composition-uv-ips"})
_FORMATS: Final = {FHIR_JSON: "json", "text/xml": "xml"}
"""What ``_format`` says of a summary itself, by its media type."""
_NOBODY: Final = "there is no such patient"
_FHIR: Final = "summary"
_FORMS: Final = (_FHIR, "summary-cda")


def summary(facade: Facade, call: Call) -> Answer:
    """Return the summary of a patient; Refused where the request or the patient is none."""
    asked = _asked(call)
    patient = _patient(facade, call, asked, call.access.visible)
    call.access.details = PatientDetails((patient.patient_id,))
    makes = source_of(facade)
    form = makes.forms.rows[asked.get(FORM, _FHIR)]
    try:
        made = makes.of_patient(form, patient.patient_id, call.access.visible)
    except NotConvertible as reason:
        raise Refused.because(422, "not-supported", str(reason)) from None
    if made.sources:
        repository = facade.domain.repository.unique_id
        call.access.details = RetrieveDetails(
            tuple(RequestedDocument(repository, one) for one in made.sources)
        )
    if call.wants_page:
        return _page(facade, call, makes, made)
    if form.name == _FHIR:
        return Answer(resource=json.read(made.content), headers=_headers(made, weak="W/"))
    content = RawContent(made.type.mime_type, made.content)
    name = f"{form.name}{extension_of(made.type.mime_type)}"
    headers = {
        **_headers(made),
        "Content-Disposition": f'inline; filename="{name}"',
        "Content-Security-Policy": "sandbox; default-src 'none'",
        "X-Content-Type-Options": "nosniff",
    }
    return Answer(content=content, headers=headers)


def _page(facade: Facade, call: Call, makes: OnDemandSource, made: BuiltDocument) -> Answer:
    """Return the page of a summary, which leads to the summary itself."""
    media_type = made.type.mime_type
    given = [(name, value) for name, value in call.parameters if name not in _OF_ANSWERS]
    # to the same path, whatever stands before it
    original = f"?{urlencode([*given, ('_format', _FORMATS[media_type])])}"
    root = "../../document/" if call.identifier else "../document/"
    repository = facade.domain.repository.unique_id
    with facade.domain.registry.view(call.access.visible) as view:
        sources = source_pages(view, repository, made.sources, root)
    facts = RegistryFacts(
        href="",
        sources=sources,
        original=original,
        is_made=True,
        unique_id=made.unique_id,
        media_type=media_type,
        size=len(made.content),
        created=made.made,
    )
    rules = rules_of(facade.config, facade.domain.systems)
    render = partial(page_of, made.content, media_type, facts, rules)
    return page_answer(makes.weighed(len(made.content), render))


def refusal(status: int, request_id: str) -> Answer:
    """Return the page of a failure."""
    return page_answer(refusal_page(status, request_id))


def describe(facade: Facade, call: Call) -> None:
    """Say who a request is about; Refused where it is wrong."""
    patient = _patient(facade, call, _asked(call), ANYTHING)
    call.access.details = PatientDetails((patient.patient_id,))


def _headers(made: BuiltDocument, *, weak: str = "") -> Mapping[str, str]:
    made_at = datetime.strptime(made.made, "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    return {
        "ETag": f'{weak}"{made.hash}"',
        "Last-Modified": formatdate(made_at.timestamp(), usegmt=True),
        "Cache-Control": "private, no-store",
    }


# --- what is asked for ---------------------------------------------------------------------------


def _asked(call: Call) -> Mapping[str, str]:
    """Return the parameters of a URL and of Parameters; Refused where one is wrong."""
    found: dict[str, str] = {}
    for name, value in (*call.parameters, *_of_body(call.resource)):
        if name in _OF_ANSWERS:
            continue
        if name not in _KNOWN:
            told = f"the operation knows the parameters {', '.join(_KNOWN)}"
            raise Refused.because(400, "not-supported", told, f"http.{name}")
        if name in found:
            raise Refused.because(400, "invalid", "the parameter stands once", f"http.{name}")
        found[name] = value
    if found.get(_PROFILE, f"{_IPS}Bundle-uv-ips").partition("|")[0] not in _PROFILES:
        told = "summaries are made in the shape of the International Patient Summary alone"
        raise Refused.because(400, "not-supported", told, f"http.{_PROFILE}")
    if found.get(FORM, _FHIR) not in _FORMS:
        told = f"a summary can be had as {', '.join(_FORMS)}"
        raise Refused.because(400, "not-supported", told, f"http.{FORM}")
    return found


def _of_body(parameters: Resource) -> Iterator[tuple[str, str]]:
    for i, one in enumerate(parameters.get("parameter", ())):
        name = one["name"]
        value = next((one[key] for key in one if key.startswith("value")), None)
        if name == _IDENTIFIER and isinstance(value, dict):
            parts = (value.get("system"), value.get("value", ""))
            value = "|".join(part for part in parts if part is not None)
        if not isinstance(value, str):
            place = f"Parameters.parameter[{i}]"
            raise Refused.because(400, "invalid", "the parameter has no value of its type", place)
        yield name, value


def _patient(
    facade: Facade, call: Call, asked: Mapping[str, str], visible: Criterion
) -> KnownPatient:
    """Return the patient, or whom it was merged into."""
    named = asked.get(_IDENTIFIER, "")
    if bool(call.identifier) is bool(named):
        told = "the patient is named by the id in the path, or by the parameter identifier"
        raise Refused.because(400, "required", told, f"http.{_IDENTIFIER}")
    with facade.domain.registry.view(visible) as view:
        found = _named(facade, view, named) if named else _numbered(view, call.identifier)
        known = view.not_all_withheld(_surviving(view, found))
    if not known:
        raise Refused.because(404, "not-found", _NOBODY)
    if len(known) > 1:
        told = "several patients have that identifier; its system says which one is meant"
        raise Refused.because(412, "multiple-matches", told, f"http.{_IDENTIFIER}")
    return known[0]


def _numbered(view: RegistryView, identifier: str) -> Sequence[KnownPatient]:
    number = patient_number(identifier)
    return view.patients_by_number([] if number is None else [number])


def _named(facade: Facade, view: RegistryView, named: str) -> Sequence[KnownPatient]:
    try:
        token = Token.parse(named)
    except ValueError:
        token = Token(None, "")
    if not token.value:
        told = "an identifier has a value: system|value"
        raise Refused.because(400, "value", told, f"http.{_IDENTIFIER}")
    return view.patients(patient_ids(token, facade.names, view))


def _surviving(view: RegistryView, found: Sequence[KnownPatient]) -> Sequence[KnownPatient]:
    """Return patients in place of those that were merged into them."""
    there = {one.number: one for one in found if one.survivor is None}
    merged = {one.survivor for one in found if one.survivor is not None}
    for _ in range(_MOST_MERGES):
        if not merged:
            break
        next_ones = view.patients_by_number(sorted(merged))
        there |= {one.number: one for one in next_ones if one.survivor is None}
        merged = {one.survivor for one in next_ones if one.survivor is not None}
    return [*there.values()]


_MOST_MERGES: Final = 20
"""That are followed one after another."""
