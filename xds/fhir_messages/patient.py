"""Whom a message is about: the identifiers of its Patient that can be used."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from xds.fhir.datatypes import demographics
from xds.fhir_messages.bundle import MessageBundle, PlacedResource
from xds.messaging.flavours.flavour import Flavour
from xds.messaging.model import MessagePatient, PatientIdentifier
from xds.messaging.v2.patients import compact, holds
from xds.messaging.verdicts import PATIENT_ID, SEGMENT
from xds.metadata.hl7_escapes import escape

_PID_3: Final = "PID-3|"
_SEXES: Final = {"male": "M", "female": "F", "other": "O", "unknown": "U"}


def patient_of(message: MessageBundle, flavour: Flavour) -> MessagePatient | None:
    """Return the patient; None, and an error, where nobody can be told."""
    patients = message.of_type("Patient")
    if len(patients) != 1:
        reason = "a message is of one patient" if patients else "there is no Patient"
        where = patients[1].path if patients else "Bundle.entry"
        message.fail(SEGMENT, where, reason)
        return None
    (placed,) = patients
    identifiers = _usable(message, placed, flavour)
    if not identifiers:
        return None
    resource = placed.resource
    name: Mapping[str, Any] = next(iter(resource.get("name", ())), {})
    _, info = demographics.read_patient(resource, message.systems)
    return MessagePatient(
        identifiers=identifiers,
        family=name.get("family", ""),
        given=" ".join(name.get("given", ())[:1]),
        birth_date=(resource.get("birthDate") or "").replace("-", ""),
        sex=_SEXES.get(resource.get("gender", ""), ""),
        postcode=next((one.get("postalCode", "") for one in resource.get("address", ())), ""),
        practice=_practice(resource),
        source_info=(*_numbers(identifiers), *(one for one in info if _PID_3 not in one[:6])),
        location=f"{placed.path}.identifier",
    )


def _numbers(identifiers: Iterable[PatientIdentifier]) -> Iterator[str]:
    """Yield the values of PID-3: with the domains that a flavour gives, too."""
    return (f"{_PID_3}{escape(one.value)}^^^&{one.domain}&ISO" for one in identifiers)


def _usable(
    message: MessageBundle, placed: PlacedResource, flavour: Flavour
) -> tuple[PatientIdentifier, ...]:
    problems: list[tuple[str, str]] = []
    found = dict.fromkeys(_identifiers(message, placed, flavour, problems))
    unique = sorted(found, key=lambda one: not one.is_national)
    nationals = {one.domain: one for one in reversed(unique) if one.is_national}
    for one in unique:
        if one.is_national and nationals[one.domain].value != one.value:
            message.fail(PATIENT_ID, one.location, "there are two different national numbers")
            return ()
    if not unique and not problems:
        problems.append((f"{placed.path}.identifier", "the Patient has no identifier"))
    report = message.warn if unique else message.fail
    for path, reason in problems:
        report(PATIENT_ID, path, reason)
    return tuple(unique)


def _identifiers(
    message: MessageBundle,
    placed: PlacedResource,
    flavour: Flavour,
    problems: list[tuple[str, str]],
) -> Iterator[PatientIdentifier]:
    for place, one in enumerate(placed.resource.get("identifier", ())):
        path = f"{placed.path}.identifier[{place}]"
        value = (one.get("value") or "").strip()
        if not value.strip("0 -"):
            continue
        domain = _domain(message, one, flavour)
        if not domain:
            problems.append((path, "the identifier has an unknown system"))
            continue
        if domain not in flavour.national_domains:
            yield PatientIdentifier(value=value, domain=domain, location=path)
            continue
        if not holds(compact(value)) and flavour.check_digits != "off":
            problems.append((path, "the number fails its check digit or length"))
            if flavour.check_digits == "refuse":
                continue
        yield PatientIdentifier(
            value=compact(value), domain=domain, is_national=True, location=path
        )


def _domain(message: MessageBundle, one: Mapping[str, Any], flavour: Flavour) -> str:
    """Return the OID of an identifier's domain: of its system, else of its assigner's code."""
    if found := message.systems.authority(one.get("system") or ""):
        return found
    assigner = ((one.get("assigner") or {}).get("identifier") or {}).get("value") or ""
    return flavour.domains.get(assigner, "")


def _practice(resource: Mapping[str, Any]) -> str:
    for one in resource.get("generalPractitioner", ()):
        if value := (one.get("identifier") or {}).get("value"):
            return str(value)
    return ""
