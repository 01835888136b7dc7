"""The patient as the source knows them: sourcePatientId and sourcePatientInfo, a contained Patient.

A value of sourcePatientInfo is a field of the HL7 v2 segment PID (ITI TF-3 4.2.3.2.23). The fields
that FHIR has elements for are PID-3, 5, 7, 8, 11, 13 and 14. Where they alone would not give the
same values back, the Patient carries those too.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Final

from xds.fhir.datatypes import times
from xds.fhir.datatypes.context import CACHED
from xds.fhir.datatypes.exact import keep, kept
from xds.fhir.datatypes.identifiers import (
    domain,
    identifier_in_use,
    is_uri,
    number_and_authority,
    patient_identifier,
)
from xds.fhir.datatypes.people import human_name, identifiers, read_human_name
from xds.fhir.datatypes.telecoms import contact_point, read_contact_point
from xds.fhir.r4.json import Lasting
from xds.fhir.r4.resource import Resource
from xds.metadata.datatypes import CX, HD, SourcePatientInfo
from xds.metadata.hl7_escapes import escape, unescape
from xds.metadata.systems import Systems

_GENDERS: Final[Mapping[str, str]] = {
    "M": "male",
    "F": "female",
    "O": "other",
    "A": "other",
    "U": "unknown",
}
_SEXES: Final[Mapping[str, str]] = {"male": "M", "female": "F", "other": "O", "unknown": "U"}
_NAME_USES: Final[Mapping[str, str]] = {
    "L": "official",
    "D": "usual",
    "M": "maiden",
    "N": "nickname",
}
_ADDRESS_USES: Final[Mapping[str, str]] = {"H": "home", "B": "work", "C": "temp", "BA": "old"}
_PATIENTS: Final = 1_000
"""How many patients are kept as they were written: a search answers the documents of few."""
USUAL: Final = "usual"
"""The use of the identifier that is the sourcePatientId."""


@lru_cache(_PATIENTS)
def contained_patient(
    name: str, source_id: str | None, info: tuple[str, ...], systems: Systems
) -> Lasting:
    """Return what the source says of the patient as a Patient of that id, which nobody changes."""
    return Lasting(resourceType="Patient", id=name, **patient(source_id, info, systems))


def patient(source_id: str | None, info: tuple[str, ...], systems: Systems) -> Resource:
    """Return what the source says of the patient as the content of a Patient."""
    content = _patient(source_id, info, systems)
    if info and _canonical(source_id, info, systems) != info:
        keep(content, *info)
    return content


@lru_cache(CACHED)
def _canonical(source_id: str | None, info: tuple[str, ...], systems: Systems) -> tuple[str, ...]:
    return _fields(_patient(source_id, info, systems), systems)


def read_patient(resource: Resource, systems: Systems) -> tuple[str | None, tuple[str, ...]]:
    """Return sourcePatientId and sourcePatientInfo; the id is None where no system has an OID."""
    source_id = _source_id(resource, systems)
    fields = _fields(resource, systems)
    exact = kept(resource)
    if exact and _canonical(source_id, exact, systems) == fields:
        return source_id, exact
    return source_id, fields


# --- writing -------------------------------------------------------------------------------------


def _patient(source_id: str | None, info: Iterable[str], systems: Systems) -> Resource:
    content: Resource = {}
    if source_id:
        content["identifier"] = [{"use": USUAL, **patient_identifier(source_id, systems)}]
    for value in info:
        field, repetitions = _field(value)
        write = _WRITERS.get(field)
        if write is not None:
            for repetition in repetitions:
                write(content, repetition, systems)
    return content


@lru_cache(CACHED)
def _field(value: str) -> tuple[int, tuple[str, ...]]:
    try:
        parsed = SourcePatientInfo.parse(value)
    except ValueError:
        return 0, ()
    return parsed.field, parsed.repetitions


def _parts(repetition: str, count: int) -> list[str]:
    """Return the components; of one in subcomponents the first stands for the whole."""
    parts = [unescape(part.partition("&")[0]) for part in repetition.split("^")]
    return [part.strip() for part in parts] + [""] * (count - len(parts))


def _write_identifier(content: Resource, repetition: str, systems: Systems) -> None:
    system, number = _pid_identifier(repetition, systems)
    found = {"system": system, "value": number} if system else {"value": number}
    listed = content.get("identifier", [])
    if number and not any(_same(found, one) for one in listed):
        content["identifier"] = [*listed, found]


@lru_cache(CACHED)
def _pid_identifier(repetition: str, systems: Systems) -> tuple[str, str]:
    """Return system and value of a CX as HL7 v2 has it, with any authority; or no system."""
    components = repetition.split("^")
    number = unescape(components[0])
    try:
        authority = HD.parse(components[3]) if len(components) > 3 else HD()
    except ValueError:
        return "", number
    oid = authority.universal_id or systems.oid_of_namespace(authority.namespace_id)
    system = domain(oid, systems) if oid else authority.namespace_id
    return (system if is_uri(system) else ""), number


def _same(one: Resource, other: Resource) -> bool:
    return all(one.get(part) == other.get(part) for part in ("system", "value"))


def _write_name(content: Resource, repetition: str, systems: Systems) -> None:
    family, given, further, suffix, prefix, _, kind, *_ = _parts(repetition, 7)
    name = human_name(family, given, further, suffix, prefix)
    if name:
        use = {"use": _NAME_USES[kind]} if kind in _NAME_USES else {}
        content.setdefault("name", []).append({**use, **name})


def _write_birth_date(content: Resource, repetition: str, systems: Systems) -> None:
    date = times.date_time(repetition[:8])
    if date is not None:
        content["birthDate"] = date


def _write_gender(content: Resource, repetition: str, systems: Systems) -> None:
    if repetition in _GENDERS:
        content["gender"] = _GENDERS[repetition]


def _write_address(content: Resource, repetition: str, systems: Systems) -> None:
    street, other, city, state, postal_code, country, kind, *_ = _parts(repetition, 7)
    address: Resource = {"use": _ADDRESS_USES[kind]} if kind in _ADDRESS_USES else {}
    lines = [line for line in (street, other) if line]
    values = {"city": city, "state": state, "postalCode": postal_code, "country": country}
    parts = {**({"line": lines} if lines else {}), **{k: v for k, v in values.items() if v}}
    if parts:
        content.setdefault("address", []).append({**address, **parts})


def _write_telecom(content: Resource, repetition: str, systems: Systems) -> None:
    point = contact_point(repetition)
    point.pop("extension", None)  # the Patient keeps the whole field
    if repetition.strip("^"):
        content.setdefault("telecom", []).append(point)


_WRITERS: Final[Mapping[int, Callable[[Resource, str, Systems], None]]] = {
    3: _write_identifier,
    5: _write_name,
    7: _write_birth_date,
    8: _write_gender,
    11: _write_address,
    13: _write_telecom,
    14: _write_telecom,
}


# --- reading -------------------------------------------------------------------------------------


def _source_id(resource: Resource, systems: Systems) -> str | None:
    found = []
    for one in identifiers(resource):
        try:
            found.append((one.get("use") != USUAL, identifier_in_use(one, systems)))
        except ValueError:
            continue
    return min(found, key=lambda row: row[0])[1] if found else None


def _fields(resource: Resource, systems: Systems) -> tuple[str, ...]:
    """Return the fields that the elements of a Patient say.

    A Patient with nothing but the sourcePatientId says no more than that.
    """
    said = [
        *(f"PID-5|{one}" for one in map(_name, resource.get("name", ())) if one),
        *_birth_date(resource),
        *_gender(resource),
        *(f"PID-11|{one}" for one in map(_address, resource.get("address", ())) if one),
        *_telecoms(resource),
    ]
    listed = identifiers(resource)
    if not said and len(listed) == 1 and _source_id(resource, systems) is not None:
        return ()
    numbers = [_number(one, systems) for one in listed]
    return (*(f"PID-3|{number}" for number in numbers if number), *said)


def _number(element: Resource, systems: Systems) -> str:
    """Return an identifier as PID-3; a system that is no OID stands as a namespace."""
    value = element.get("value", "")
    try:
        number, authority = number_and_authority(element, systems)
        return str(CX(number, authority)) if authority else escape(number)
    except ValueError:
        system = element.get("system", "")
        return f"{escape(value)}^^^{escape(system)}" if value else ""


def _joined(*components: str) -> str:
    return "^".join(map(escape, components)).rstrip("^")


def _code(use: str | None, codes: Mapping[str, str]) -> str:
    return next((code for code, its_use in codes.items() if its_use == use), "")


def _name(name: Resource) -> str:
    family, given, further, suffix, prefix = read_human_name(name)
    kind = _code(name.get("use"), _NAME_USES)
    if not (family or given):
        return ""
    return _joined(family, given, further, suffix, prefix, "", kind)


def _birth_date(resource: Resource) -> Iterator[str]:
    if "birthDate" in resource:
        yield f"PID-7|{resource['birthDate'].replace('-', '')}"


def _gender(resource: Resource) -> Iterator[str]:
    if resource.get("gender") in _SEXES:
        yield f"PID-8|{_SEXES[resource['gender']]}"


def _address(address: Resource) -> str:
    lines = [line for line in address.get("line", ()) if line]
    street, other = (lines[0] if lines else ""), " ".join(lines[1:])
    parts = [address.get(part, "") for part in ("city", "state", "postalCode", "country")]
    if not (lines or any(parts)):
        return escape(address.get("text", ""))
    return _joined(street, other, *parts, _code(address.get("use"), _ADDRESS_USES))


def _telecoms(resource: Resource) -> Iterator[str]:
    """PID-13 is the home's, PID-14 the business's; what is of neither is of the home."""
    found = [
        (one.get("use") == "work", read_contact_point(one)) for one in resource.get("telecom", ())
    ]
    for at_work, text in sorted(found, key=lambda row: row[0]):
        if text:
            yield f"PID-{14 if at_work else 13}|{text}"
