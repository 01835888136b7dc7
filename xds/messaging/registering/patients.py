"""Which patient a message is filed under (the affinity domain's id), and whether it is the one.

National numbers come first. Where the affinity domain issues ids of its own, an id of another
domain leads there by what a trusted feed has linked (:mod:`xds.registry.patient_links`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from xds.messaging.flavours.flavour import Flavour
from xds.messaging.model import MessagePatient, PatientIdentifier
from xds.messaging.verdicts import (
    DEMOGRAPHICS,
    PATIENT_ID,
    PATIENT_UNKNOWN,
    MessageFinding,
    refused,
)
from xds.registry import patient_links
from xds.registry.patient_links import KnownDetails
from xds.registry.queries.views import KnownPatient, RegistryView
from xds.registry.queries.visibility import EVERYTHING

PID_3: Final = "PID^1^3"
"""Where the ids of a patient stand, if nothing tells it better."""
_LEAST = 2
"""How many of name, birth date and sex have to differ to be another person."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChosenPatient:
    """The patient of a message."""

    patient_id: str
    """CX, of the affinity domain."""
    source_patient_id: str
    """CX: the sender's own id, or the same."""
    is_known: bool
    """Whether the registry knows the id."""
    findings: Sequence[MessageFinding] = ()
    decisions: Sequence[str] = ()


class PatientAwaited(Exception):
    """The patient is not known yet, and the flavour holds such messages."""

    def __init__(self, location: str, identifiers: Sequence[PatientIdentifier]) -> None:
        super().__init__("the patient is not known yet")
        self.location = location
        self.identifiers = identifiers


def choose(
    connection: Connection, patient: MessagePatient | None, domain: str | None, flavour: Flavour
) -> ChosenPatient:
    """Return the patient of a message.

    ``domain`` is the OID of the affinity domain's ids; None: an id of any domain that is known by
    name is one. Raises ContentRefused (PATIENT_ID, PATIENT_UNKNOWN, DEMOGRAPHICS) and
    PatientAwaited.
    """
    location = (patient.location if patient else "") or PID_3
    if patient is None or not patient.identifiers:
        raise refused(PATIENT_ID, location, "there is no patient id that can be used")
    candidates = list(_candidates(connection, patient, domain))
    ids = list(dict.fromkeys(one for one, _ in candidates))
    if len(ids) > 1 and domain is not None:
        raise refused(PATIENT_ID, location, "the patient ids are those of several patients")
    if not ids:
        if flavour.unknown_patients == "hold":
            raise PatientAwaited(location, patient.identifiers)
        reason = "no id is of the affinity domain, and no patient feed has linked one to such an id"
        raise refused(PATIENT_UNKNOWN, location, reason)
    chosen, how = candidates[0]
    known = _known(connection, chosen)
    decisions = [f"the patient id is {how}"]
    if known is not None and known.survivor is not None:
        chosen = _survivor(connection, known) or chosen
        decisions.append("the patient was merged into another one, who has the documents")
    if known is None and flavour.unknown_patients != "registry":
        if flavour.unknown_patients == "hold":
            raise PatientAwaited(location, patient.identifiers)
        raise refused(PATIENT_UNKNOWN, location, "no patient feed has made the patient known")
    own = next((one.cx for one in patient.identifiers if not one.is_national), chosen)
    return ChosenPatient(
        patient_id=chosen,
        source_patient_id=own,
        is_known=known is not None,
        findings=list(_contradictions(connection, patient, chosen, flavour)),
        decisions=decisions,
    )


def _candidates(
    connection: Connection, patient: MessagePatient, domain: str | None
) -> Iterator[tuple[str, str]]:
    """Yield ids of the affinity domain, best first, and how each was come by."""
    for one in patient.identifiers:
        if domain in (None, one.domain):
            kind = "the national number" if one.is_national else "the id"
            yield one.cx, f"{kind} of {one.location or 'the message'}"
    if domain is None:
        return
    links = patient_links.linked(connection, [one.cx for one in patient.identifiers])
    for one in patient.identifiers:
        if found := links.get(one.cx, {}).get(domain):
            yield found, f"linked to the id of {one.location or 'the message'} by a patient feed"


def _view(connection: Connection) -> RegistryView:
    return RegistryView(connection, 0, EVERYTHING)


def _known(connection: Connection, patient_id: str) -> KnownPatient | None:
    return next(iter(_view(connection).patients([patient_id])), None)


def _survivor(connection: Connection, known: KnownPatient) -> str | None:
    assert known.survivor is not None
    found = _view(connection).patients_by_number([known.survivor])
    return found[0].patient_id if found else None


def _contradictions(
    connection: Connection, patient: MessagePatient, chosen: str, flavour: Flavour
) -> Iterator[MessageFinding]:
    """Yield a warning where a message says another person; ContentRefused if so configured."""
    if flavour.demographics == "off":
        return
    known = patient_links.details(connection, [chosen]).get(chosen)
    if known is None or len(differing(patient, known)) < _LEAST:
        return
    names = " and ".join(differing(patient, known))
    reason = f"{names} contradict what the patient feed has said of the patient"
    location = "PID^1^5"
    if flavour.demographics == "refuse":
        raise refused(DEMOGRAPHICS, location, reason)
    yield MessageFinding(verdict=DEMOGRAPHICS, location=location, reason=reason, is_warning=True)


def differing(patient: MessagePatient, known: KnownDetails) -> list[str]:
    """Return which of family name, birth date and sex differ, where both are known."""
    pairs = (
        ("family name", patient.family.casefold(), known.family.casefold()),
        ("birth date", patient.birth_date[:8], known.birth_date[:8]),
        ("sex", patient.sex.upper(), known.sex.upper()),
    )
    return [
        name
        for name, said, was in pairs
        if said and was and not (said.startswith(was) or was.startswith(said))
    ]
