"""What stands above each report: the patient, the report, and who made it, in words."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

from xds import PRODUCT
from xds.messaging.model import EntityNumber, MessageOrganisation, MessagePerson, PatientIdentifier
from xds.messaging.rendering.documents import ReportSource
from xds.metadata.datatypes import check_dtm, earliest

NATIONAL_NUMBERS: Final = {
    "2.16.840.1.113883.2.1.4.1": "NHS number",
    "2.16.840.1.113883.2.1.3.2.4.16.53": "CHI number",
}
"""The domains of national numbers, by their OID."""

SEXES: Final = {"M": "male", "F": "female", "O": "other", "U": "unknown"}
STATUSES: Final = {
    "preliminary": "preliminary",
    "unverified": "preliminary, not verified",
    "final": "final",
    "corrected": "corrected",
    "cancelled": "cancelled",
    "incomplete": "incomplete",
}
_MONTHS: Final = (
    *("Jan", "Feb", "Mar", "Apr", "May", "Jun"),
    *("Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
)
_NHS_DIGITS: Final = 10
_IN_BANNER: Final = 2
"""How many of the patient's numbers stand on each page; the others stand above the report."""


def title(source: ReportSource) -> str:
    """Return the title of a report."""
    report = source.report
    of_type = report.type_code.display_name if report.type_code else ""
    return report.title or of_type or "Report"


def patient_name(source: ReportSource) -> str:
    """Return the patient's name as charts write it: ``JONES, Ann``."""
    family, given = source.patient.family.upper(), source.patient.given
    return ", ".join(part for part in (family, given) if part) or "(name not sent)"


def number_label(identifier: PatientIdentifier) -> str:
    """Return what a patient's number is called."""
    fallback = "National number" if identifier.is_national else "Local number"
    return NATIONAL_NUMBERS.get(identifier.domain, fallback)


def number(identifier: PatientIdentifier) -> str:
    """Return a patient's number: an NHS number as 3-3-4, a local one with its domain."""
    value = identifier.value
    if identifier.domain in NATIONAL_NUMBERS and len(value) == _NHS_DIGITS and value.isdigit():
        return f"{value[:3]} {value[3:6]} {value[6:]}"
    return value if identifier.is_national else f"{value} (of {identifier.domain})"


def moment(value: str, zone: str = "UTC") -> str:
    """Return a DTM in words, as precise as it is: ``01-Jul-2026 09:30 BST``; others as they are.

    What has a time of day is told in ``zone``.
    """
    try:
        check_dtm(value)
    except ValueError:
        return value
    if len(value) <= len("YYYYMMDD"):
        month = _MONTHS[int(value[4:6]) - 1] if value[4:6] else ""
        return "-".join(part for part in (value[6:8], month, value[:4]) if part)
    at = datetime.strptime(earliest(value), "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    local = at.astimezone(ZoneInfo(zone))
    seconds = f":{local:%S}" if len(value) == len("YYYYMMDDhhmmss") and local.second else ""
    day = f"{local:%d}-{_MONTHS[local.month - 1]}-{local.year:04}"
    return f"{day} {local:%H:%M}{seconds} {local:%Z}"


def person_name(person: MessagePerson | None) -> str:
    """Return a person's name: ``Dr Ann Jones``; empty where there is none."""
    if person is None:
        return ""
    parts = (person.prefix, person.given, person.family)
    return " ".join(part for part in parts if part) or person.id


def organisation_name(organisation: MessageOrganisation | None) -> str:
    """Return an organisation's name and code; empty where there is none."""
    if organisation is None:
        return ""
    name, code = organisation.name, organisation.code
    return f"{name} ({code})" if name and code and name != code else name or code


def banner(source: ReportSource) -> Sequence[str]:
    """Return who the patient is, for each page."""
    patient = source.patient
    facts = [f"{number_label(one)} {number(one)}" for one in patient.identifiers[:_IN_BANNER]]
    if patient.birth_date:
        facts.append(f"born {moment(patient.birth_date)}")
    if patient.sex:
        facts.append(SEXES.get(patient.sex, patient.sex))
    return (patient_name(source), *facts)


def origin(source: ReportSource) -> str:
    """Return where a rendered report comes from, for each page."""
    envelope = source.envelope
    sender = " ".join(
        part for part in (envelope.sending_application, envelope.sending_facility) if part
    )
    return (
        f"Rendered from HL7 message {envelope.control_id} of {sender} by {PRODUCT};"
        " not the laboratory's own layout"
    )


def marks(source: ReportSource) -> Sequence[str]:
    """Return what a reader must see first: that a report is corrected, or not final."""
    status, replaces = source.report.status, source.identity.replaces
    found = []
    if status in ("preliminary", "unverified", "incomplete"):
        found.append(f"{STATUSES[status].upper()} REPORT")
    if status == "cancelled":
        found.append("CANCELLED")
    if status == "corrected" or replaces:
        of_version = f": replaces document {replaces}" if replaces else ""
        word = "CORRECTED" if status == "corrected" else "NEW VERSION OF THE"
        found.append(f"{word} REPORT{of_version}")
    return found


def fields(source: ReportSource) -> Sequence[tuple[str, str]]:
    """Return the block above a report: labels with their values, those that have one."""
    return [(label, value) for label, value in _fields(source) if value]


def _fields(source: ReportSource) -> Iterator[tuple[str, str]]:
    report, patient = source.report, source.patient
    for identifier in patient.identifiers[_IN_BANNER:]:
        yield number_label(identifier), number(identifier)
    yield "Postcode", patient.postcode
    yield "General practice", patient.practice
    facility = source.envelope.sending_facility or source.envelope.sending_application
    yield "Laboratory", organisation_name(report.laboratory) or facility
    by = (person_name(report.requester), organisation_name(report.requesting_organisation))
    yield "Requested by", ", ".join(part for part in by if part)
    yield "Report number", _number(report.number)
    yield "Order number", _numbers(report.placer_numbers)
    others = [one for one in report.filler_numbers if one != report.number]
    yield "Laboratory number", _numbers(others)
    yield "Visit", _numbers(report.encounter_numbers)
    yield "Specimen", report.specimen
    yield "Collected", _period(source, report.service_start, report.service_stop)
    yield "Reported", moment(report.reported, source.zone)
    yield "Status", STATUSES[report.status]
    yield "Author", ", ".join(filter(None, map(person_name, report.authors)))
    yield "Authorised by", person_name(report.authenticator)
    yield "Reason", report.comments


def _number(number: EntityNumber | None) -> str:
    if number is None:
        return ""
    authority = number.authority or number.oid
    return f"{number.value} ({authority})" if authority else number.value


def _numbers(numbers: Sequence[EntityNumber]) -> str:
    return ", ".join(dict.fromkeys(map(_number, numbers)))


def _period(source: ReportSource, start: str, stop: str) -> str:
    first, last = moment(start, source.zone), moment(stop, source.zone)
    if stop and stop != start:
        return f"{first} to {last}" if start else f"until {last}"
    return first
