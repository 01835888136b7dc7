"""A report as FHIR R4 document: Composition, DiagnosticReport, Observations and what they name."""

import base64
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from html import escape
from typing import Any, Final
from uuid import NAMESPACE_OID, uuid5

from xds.fhir.datatypes.codes import concept
from xds.fhir.datatypes.identifiers import identifier
from xds.fhir.datatypes.times import date_time, instant
from xds.fhir.r4 import json
from xds.fhir.r4.json import number
from xds.fhir.r4.primitives import CHECKS
from xds.fhir.r4.resource import Resource
from xds.messaging.model import (
    EntityNumber,
    MessageOrganisation,
    MessagePerson,
    ReportSection,
    ResultRow,
)
from xds.messaging.rendering import header, text
from xds.messaging.rendering.documents import RenderedDocument, ReportSource, rendered
from xds.messaging.rendering.text import FORMAT
from xds.metadata.datatypes import earliest
from xds.metadata.objects import Code
from xds.metadata.systems import Systems
from xds.rendering.values import (
    FLAGS,
    INTERPRETATIONS,
    LABORATORY_REPORT,
    LOINC,
    dtm,
    quantity,
    sayable,
)

_CATEGORY: Final = "http://terminology.hl7.org/CodeSystem/observation-category"
_SERVICE: Final = "http://terminology.hl7.org/CodeSystem/v2-0074"
_GENDERS: Final = {"M": "male", "F": "female", "O": "other", "U": "unknown"}
_REPORT_CODE: Final = Code(LABORATORY_REPORT[0], LOINC, LABORATORY_REPORT[1])
_CONFIDENTIALITIES: Final = frozenset("ULMNRV")
_REPORT_STATUSES: Final = {
    "preliminary": "preliminary",
    "unverified": "preliminary",
    "final": "final",
    "corrected": "corrected",
    "cancelled": "cancelled",
    "incomplete": "registered",
}
_COMPOSITION_STATUSES: Final = {
    "final": "final",
    "corrected": "amended",
    "cancelled": "entered-in-error",
}
_OBSERVATION_STATUSES: Final = {"corrected": "corrected", "preliminary": "preliminary"}
_NO_TIME: Final = "20000101"
"""The time of a document whose message says none, for a Bundle needs one."""


def render(source: ReportSource) -> RenderedDocument:
    """Return a report as a Bundle of the type document (R4, 3.3), in JSON."""
    return rendered("application/fhir+json", FORMAT, json.render(_sayable(_bundle(source))))


@cache
def _systems() -> Systems:
    return Systems.read()


def _bundle(source: ReportSource) -> Resource:
    made = dtm(source.report.reported) or dtm(source.envelope.sent) or _NO_TIME
    resources = [
        _composition(source, made),
        _diagnostic_report(source),
        *(_observation(source, path, row) for _, path, row in _rows(source)),
        *_named(source),
    ]
    return {
        "resourceType": "Bundle",
        "identifier": _document_number(source.identity.unique_id),
        "type": "document",
        "timestamp": instant(earliest(made)),
        "entry": [{"fullUrl": f"urn:uuid:{one['id']}", "resource": one} for one in resources],
    }


def _sayable(value: Any) -> Any:
    """Return a value without characters that FHIR cannot have."""
    if isinstance(value, dict):
        return {name: _sayable(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_sayable(one) for one in value]
    return sayable(value) if type(value) is str else value


def _without_empty(resource: Resource) -> Resource:
    return {name: value for name, value in resource.items() if value not in ("", None, [], {})}


# --- references ----------------------------------------------------------------------------------


def _uuid(source: ReportSource, path: str) -> str:
    """Return the id of a resource, which follows from the document and its place within it."""
    return str(uuid5(uuid5(NAMESPACE_OID, source.identity.unique_id), path))


def _resource(source: ReportSource, kind: str, path: str, **elements: Any) -> Resource:
    made = {"resourceType": kind, "id": _uuid(source, path), **elements}
    return _without_empty(made)


def _to(source: ReportSource, path: str, display: str = "") -> Resource:
    found: Resource = {"reference": f"urn:uuid:{_uuid(source, path)}"}
    return {**found, "display": display} if display else found


def _subject(source: ReportSource) -> Resource:
    return _to(source, "patient", header.patient_name(source))


def _laboratory(source: ReportSource) -> Resource:
    return _to(source, "laboratory", _laboratory_of(source).name)


def _laboratory_of(source: ReportSource) -> MessageOrganisation:
    sender = source.envelope.sending_facility or source.envelope.sending_application
    return source.report.laboratory or MessageOrganisation(name=sender or "unknown")


def _numbers(numbers: Sequence[EntityNumber]) -> list[Resource]:
    return [_number(one.value, one.oid) for one in dict.fromkeys(numbers) if one.value]


def _document_number(unique_id: str) -> Resource:
    root, _, extension = unique_id.partition("^")
    return identifier(extension or root, root if extension else "", _systems())


def _concept(code: Code) -> Resource:
    """Return a code as CodeableConcept; nothing of one that FHIR cannot say."""
    found = concept(code, _systems())
    said = found["coding"][0].get("code", "")
    return found if CHECKS["code"](said) is None else {}


def _number(value: str, oid: str) -> Resource:
    return identifier(value, oid, _systems()) if oid else {"value": value}


# --- the report ----------------------------------------------------------------------------------


def _composition(source: ReportSource, made: str) -> Resource:
    report, identity = source.report, source.identity
    authors = [
        _to(source, f"author/{at}", header.person_name(author))
        for at, author in enumerate(report.authors)
    ]
    replaced = {
        "code": "replaces",
        "targetIdentifier": _document_number(identity.replaces),
    }
    level = report.confidentiality.code if report.confidentiality else "N"
    return _resource(
        source,
        "Composition",
        "composition",
        language=report.language,
        identifier=_document_number(identity.set_id or identity.unique_id),
        status=_COMPOSITION_STATUSES.get(report.status, "preliminary"),
        type=_type(source),
        subject=_subject(source),
        date=date_time(made),
        author=authors or [_laboratory(source)],
        title=header.title(source),
        confidentiality=level if level in _CONFIDENTIALITIES else "N",
        attester=_attesters(source),
        custodian=_laboratory(source),
        relatesTo=[replaced] if identity.replaces else [],
        section=list(_sections(source)),
    )


def _type(source: ReportSource) -> Resource:
    """Return what kind of report it is, by LOINC at any rate."""
    own = source.report.type_code
    found: list[Resource] = _concept(own).get("coding", []) if own else []
    if own is None or not found or own.coding_scheme != LOINC:
        found = [*_concept(_REPORT_CODE)["coding"], *found]
    return {"coding": found}


def _attesters(source: ReportSource) -> list[Resource]:
    signer = source.report.authenticator
    if signer is None:
        return []
    party = _to(source, "authenticator", header.person_name(signer))
    return [_without_empty({"mode": "legal", "time": date_time(signer.time), "party": party})]


def _sections(source: ReportSource) -> Iterator[Resource]:
    report = _to(source, "report")
    by_section: dict[int, list[Resource]] = {}
    for at, path, _ in _rows(source):
        by_section.setdefault(at, []).append(_to(source, path))
    for at, section in enumerate(source.content.sections):
        yield {
            "title": section.heading or header.title(source),
            "text": _narrative(_section_html(section, source.zone)),
            "entry": [*([report] if at == 0 else []), *by_section.get(at, [])] or [report],
        }
    said = (*header.marks(source), header.origin(source), *source.content.other)
    yield {
        "title": "Other content of the message",
        "text": _narrative("".join(f"<p>{_html(one)}</p>" for one in said)),
    }


def _diagnostic_report(source: ReportSource) -> Resource:
    report = source.report
    numbers = [*([report.number] if report.number else []), *report.filler_numbers]
    orders = [_to(source, f"order/{at}") for at, _ in enumerate(report.placer_numbers)]
    results = [_to(source, path, row.test) for _, path, row in _rows(source)]
    whole = base64.b64encode(b"".join(text.render(source).chunks())).decode()
    attachment = {"contentType": "text/plain;charset=UTF-8", "data": whole}
    service = {"coding": [{"system": _SERVICE, "code": "LAB", "display": "Laboratory"}]}
    return _resource(
        source,
        "DiagnosticReport",
        "report",
        identifier=_numbers(numbers),
        basedOn=orders,
        status=_REPORT_STATUSES[report.status],
        category=[service],
        code=_type(source),
        subject=_subject(source),
        **_effective(report.service_start, report.service_stop),
        issued=instant(earliest(report.reported)) if dtm(report.reported) else "",
        performer=[_laboratory(source)],
        specimen=[_to(source, "specimen", report.specimen)] if report.specimen else [],
        result=results,
        presentedForm=[attachment] if source.content.is_text else [],
    )


def _effective(start: str, stop: str) -> Resource:
    if start and stop and start != stop:
        period = {"start": date_time(start), "end": date_time(stop)}
        return {"effectivePeriod": _without_empty(period)}
    return _without_empty({"effectiveDateTime": date_time(start or stop)})


# --- narrative -----------------------------------------------------------------------------------


def _html(said: str) -> str:
    return escape(sayable(said), quote=False).replace("\n", "<br/>")


def _preformatted(said: str) -> str:
    return escape(sayable(said), quote=False)


def _narrative(content: str) -> Resource:
    return {
        "status": "generated",
        "div": f'<div xmlns="http://www.w3.org/1999/xhtml">{content}</div>',
    }


def _section_html(section: ReportSection, zone: str) -> str:
    parts = []
    if section.lines:
        lines = "\n".join(line.rstrip() for line in section.lines)
        parts.append(f"<pre>{_preformatted(lines)}</pre>")
    if section.rows:
        heads = "".join(f"<th>{_html(head)}</th>" for head in text.HEADS)
        rows = "".join(_row_html(row, zone) for row in section.rows)
        parts.append(f"<table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>")
    parts += [f"<p>{_html(note)}</p>" for note in section.notes]
    return "".join(parts) or "<p>-</p>"


def _row_html(row: ResultRow, zone: str) -> str:
    notes = "".join(f'<tr><td colspan="7">{_html(note)}</td></tr>' for note in row.notes)
    test, *others = text.cells(row, zone)
    if row.is_text:
        cell = f'<td colspan="6"><pre>{_preformatted(row.value)}</pre></td>'
    else:
        cell = "".join(f"<td>{_html(one)}</td>" for one in others)
    return f"<tr><td>{_html(test)}</td>{cell}</tr>{notes}"


# --- results -------------------------------------------------------------------------------------


def _rows(source: ReportSource) -> Iterator[tuple[int, str, ResultRow]]:
    """Yield the rows of a report, each with the number of its section and its own path."""
    for at, section in enumerate(source.content.sections):
        for number_, row in enumerate(section.rows):
            yield at, f"section/{at}/row/{number_}", row


def _observation(source: ReportSource, path: str, row: ResultRow) -> Resource:
    report = source.report
    own, own_time = _REPORT_STATUSES[report.status], dtm(row.time)
    code = {**(_concept(row.code) if row.code else {}), "text": row.test or "-"}
    category = {"coding": [{"system": _CATEGORY, "code": "laboratory"}]}
    return _resource(
        source,
        "Observation",
        path,
        status=_OBSERVATION_STATUSES.get(row.status, own),
        category=[category],
        code=code,
        subject=_subject(source),
        **_effective(own_time or report.service_start, own_time or report.service_stop),
        performer=[_laboratory(source)],
        **_value(row),
        interpretation=[_interpretation(flag) for flag in row.flag.split(", ") if flag],
        note=[{"text": note} for note in row.notes if note.strip()],
        specimen=_to(source, "specimen") if report.specimen else {},
        referenceRange=[{"text": row.range}] if row.range else [],
    )


def _value(row: ResultRow) -> Mapping[str, Any]:
    found = None if row.is_text else quantity(row.value, row.unit)
    if found is not None:
        unit = {"unit": found.unit} if found.unit else {}
        value = {"value": number(found.number), "comparator": found.comparator, **unit}
        return {"valueQuantity": {name: one for name, one in value.items() if one != ""}}
    if row.value.strip():
        return {"valueString": f"{row.value} {row.unit}" if row.unit else row.value}
    absent = {"text": row.status} if row.status else {"text": "no value was sent"}
    return {"dataAbsentReason": absent}


def _interpretation(flag: str) -> Resource:
    known = FLAGS.get(flag)
    codes = _concept(Code(known, INTERPRETATIONS, flag)) if known else {}
    return {**codes, "text": flag}


# --- who and what they name ----------------------------------------------------------------------


def _named(source: ReportSource) -> Iterator[Resource]:
    report = source.report
    yield _patient(source)
    yield _organisation(source, "laboratory", _laboratory_of(source))
    for at, author in enumerate(report.authors):
        yield _practitioner(source, f"author/{at}", author)
    if report.authenticator is not None:
        yield _practitioner(source, "authenticator", report.authenticator)
    if report.specimen:
        subject = _subject(source)
        yield _resource(
            source, "Specimen", "specimen", type={"text": report.specimen}, subject=subject
        )
    for at, order in enumerate(report.placer_numbers):
        yield _resource(
            source,
            "ServiceRequest",
            f"order/{at}",
            identifier=_numbers([order]),
            status="completed" if report.status in ("final", "corrected") else "active",
            intent="order",
            subject=_subject(source),
            requester=_requester(source),
        )
    if report.placer_numbers and report.requester is not None:
        yield _practitioner(source, "requester", report.requester)
    elif report.placer_numbers and report.requesting_organisation is not None:
        yield _organisation(source, "requester", report.requesting_organisation)


def _requester(source: ReportSource) -> Resource:
    report = source.report
    name = header.person_name(report.requester) or header.organisation_name(
        report.requesting_organisation
    )
    return _to(source, "requester", name) if name else {}


def _patient(source: ReportSource) -> Resource:
    patient = source.patient
    name = _without_empty(
        {"family": patient.family, "given": [patient.given] if patient.given else []}
    )
    return _resource(
        source,
        "Patient",
        "patient",
        identifier=[_number(one.value, one.domain) for one in patient.identifiers],
        name=[name] if name else [],
        gender=_GENDERS.get(patient.sex, ""),
        birthDate=date_time(patient.birth_date[:8]),
        address=[{"postalCode": patient.postcode}] if patient.postcode else [],
    )


def _practitioner(source: ReportSource, path: str, person: MessagePerson) -> Resource:
    name = _without_empty(
        {
            "family": person.family,
            "given": [person.given] if person.given else [],
            "prefix": [person.prefix] if person.prefix else [],
        }
    )
    numbers = [_number(person.id, person.oid)] if person.id else []
    return _resource(source, "Practitioner", path, identifier=numbers, name=[name] if name else [])


def _organisation(source: ReportSource, path: str, said: MessageOrganisation) -> Resource:
    numbers = [_number(said.code, said.oid)] if said.code else []
    return _resource(source, "Organization", path, identifier=numbers, name=said.name or said.code)
