"""Whom a message is about: the identifiers of PID that can be used, and the person.

A national number (NHS, CHI, Health and Care) stands in PID-3, or bare in PID-2 or PID-19, and its
check digit must hold (modulus 11, weights 10 to 2). Any other identifier needs an authority of
which the OID is sent or known to the flavour.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from xds.hl7v2.message import Segment
from xds.hl7v2.persons import practice_of
from xds.messaging.model import MessagePatient, PatientIdentifier
from xds.messaging.v2.context import MessageReading, location
from xds.messaging.v2.grouping import Grouped
from xds.messaging.verdicts import PATIENT_ID, SEGMENT
from xds.metadata.datatypes import is_oid
from xds.metadata.hl7_escapes import escape

_DIGITS: Final = re.compile(r"[0-9][0-9 -]{8,}[0-9]")
_NO_NUMBERS: Final = frozenset({"MR", "UNKNOWN", "NONE", "N/A"})
_LOCATION: Final = "PID^1^3"
_IDENTIFIER_FIELDS: Final = (3, 2, 4, 19)


def holds(number: str) -> bool:
    """Tell whether the check digit of a national number holds: ten digits, modulus 11."""
    if len(number) != 10 or not (number.isascii() and number.isdigit()):
        return False
    total = sum(int(number[n]) * (10 - n) for n in range(9))
    return (11 - total % 11) % 11 == int(number[9])


def compact(number: str) -> str:
    """Return a number without the blanks and hyphens by which people part it."""
    return number.replace(" ", "").replace("-", "")


@dataclass(frozen=True, slots=True)
class _Candidate:
    value: str
    namespace: str
    oid: str
    kind: str
    """CX.5."""
    field: int
    place: str


def patient_of(reading: MessageReading, grouped: Grouped) -> MessagePatient | None:
    """Return the patient of a message; None, and an error, where nobody can be told."""
    if len(grouped.patients) != 1:
        sequence = len(grouped.patients) and 2
        reason = "a message is of one patient" if sequence else "there is no PID segment"
        reading.fail(SEGMENT, f"PID^{sequence or 1}", reason)
        return None
    pid = grouped.patients[0]
    identifiers = _Identifiers(reading, pid).usable()
    if not identifiers:
        return None
    return MessagePatient(
        identifiers=identifiers,
        family=pid.value(5, 1, 1, 1),
        given=pid.value(5, 1, 2, 1),
        birth_date=_birth_date(reading, pid),
        sex=pid.value(8, 1, 1, 1),
        postcode=pid.value(11, 1, 5, 1),
        practice=practice_of(grouped.practice),
        source_info=tuple(_source_info(reading, pid, identifiers)),
        location=_LOCATION,
    )


class _Identifiers:
    """Classifies the identifiers of a PID."""

    def __init__(self, reading: MessageReading, pid: Segment) -> None:
        self._reading = reading
        self._flavour = reading.flavour
        self._pid = pid
        self._problems: list[tuple[str, str]] = []
        """Places and reasons: errors if nothing can be used, else warnings."""

    def usable(self) -> Sequence[PatientIdentifier]:
        found = [one for each in self._candidates() if (one := self._classified(each))]
        unique = list({(one.domain, one.value): one for one in found}.values())
        unique.sort(key=lambda one: not one.is_national)
        if self._conflict(unique):
            return ()
        if not unique and not self._problems:
            self._problems.append((_LOCATION, "PID has no identifier"))
        report = self._reading.warn if unique else self._reading.fail
        for place, reason in self._problems:
            report(PATIENT_ID, place, reason)
        return tuple(unique)

    def _conflict(self, identifiers: Sequence[PatientIdentifier]) -> bool:
        first: dict[str, PatientIdentifier] = {}
        for one in identifiers:
            other = first.setdefault(one.domain, one) if one.is_national else one
            if other is not one:
                reason = f"the national number is not that of {other.location}"
                self._reading.fail(PATIENT_ID, one.location, reason)
                return True
        return False

    def _candidates(self) -> Iterator[_Candidate]:
        for number in _IDENTIFIER_FIELDS:
            if number != 3 and f"PID-{number}" not in self._flavour.national_number_fields:
                continue
            for repetition, cx in enumerate(self._pid.field(number), 1):
                parts = [part[0] if part else "" for part in cx]
                value = "&".join(cx[0]) if cx else ""
                if self._is_number(value):
                    place = location(self._pid, number, *((repetition,) if repetition > 1 else ()))
                    yield self._candidate(value, parts, cx, number, place)

    def _is_number(self, value: str) -> bool:
        return bool(value.strip("0 -")) and value.upper() not in _NO_NUMBERS

    def _candidate(
        self, value: str, parts: list[str], cx: tuple[tuple[str, ...], ...], field: int, place: str
    ) -> _Candidate:
        hd = (*(cx[3] if len(cx) > 3 else ()), "", "", "")
        namespace, oid = hd[0], hd[1] if hd[2] in ("", "ISO") and is_oid(hd[1]) else ""
        kind = parts[4] if len(parts) > 4 else ""
        if not (namespace or hd[1]) and len(parts) > 2 and parts[2] in self._flavour.domains:
            namespace = parts[2]  # an authority one component too early
        if not oid and hd[1] and not namespace:
            namespace = hd[1]
        return _Candidate(value, namespace, oid, kind, field, place)

    def _classified(self, one: _Candidate) -> PatientIdentifier | None:
        domain = self._domain(one)
        if not domain:
            if one.field == 3:
                why = "names no authority" if not one.namespace else "has an unknown authority"
                self._problems.append((f"{one.place}", f"the identifier {why}"))
            return None
        if domain in self._flavour.national_domains:
            return self._national(one, domain)
        if "\N{REPLACEMENT CHARACTER}" in one.value:
            self._problems.append((one.place, "a character is not of the declared set"))
            return None
        return PatientIdentifier(value=one.value, domain=domain, location=one.place)

    def _domain(self, one: _Candidate) -> str:
        """Return the OID of an identifier's domain; empty where nothing tells it."""
        flavour, national = self._flavour, self._flavour.national_domains
        mapped = one.oid or self._named(one.namespace)
        if one.kind == "NH" and national and mapped not in national:
            return national[0]
        if mapped or one.namespace:
            if mapped and not one.oid:
                name = one.place.partition("^1^")[2].partition("^")[0]
                self._reading.decide(f"PID-{name} {one.namespace} is the domain {mapped}")
            return mapped
        if one.kind in flavour.id_types:
            return flavour.id_types[one.kind]
        if one.field == 3:
            return flavour.default_domain
        is_bare = _DIGITS.fullmatch(one.value) and len(compact(one.value)) in (10, 11)
        return national[0] if is_bare and national else ""

    def _named(self, namespace: str) -> str:
        domains = self._flavour.domains
        return domains.get(namespace, "") or domains.get(namespace.upper(), "")

    def _national(self, one: _Candidate, domain: str) -> PatientIdentifier | None:
        value, policy = compact(one.value), self._flavour.check_digits
        if not holds(value) and policy != "off":
            self._problems.append((one.place, "the number fails its check digit or length"))
            if policy == "refuse":
                return None
        return PatientIdentifier(value=value, domain=domain, is_national=True, location=one.place)


def _birth_date(reading: MessageReading, pid: Segment) -> str:
    """Return PID-7 without its time, which would make another day of it in UTC."""
    return pid.value(7, 1, 1, 1)[:8] if reading.time(pid, 7) else ""


def _source_info(
    reading: MessageReading, pid: Segment, identifiers: Sequence[PatientIdentifier]
) -> Iterator[str]:
    yield from (f"PID-3|{escape(one.value)}^^^&{one.domain}&ISO" for one in identifiers)
    for number in (5, 7, 8, 11):
        value = _birth_date(reading, pid) if number == 7 else _rewritten(pid, number)
        if value:
            yield f"PID-{number}|{value}"


def _rewritten(pid: Segment, number: int) -> str:
    """Return the first repetition of a field in the delimiters of metadata, without nulls."""
    components = pid.field(number)[:1]
    if not components:
        return ""
    texts = ["&".join(map(escape, part)).rstrip("&") for part in components[0]]
    text = "^".join(texts).rstrip("^")
    return "" if "\N{REPLACEMENT CHARACTER}" in text or not text.strip("^& ") else text
