"""Whether a document is of the patient that it is registered for.

Identifiers decide where both have one of the same authority. Else what people are called and when
they were born: only where both differ is it another patient for certain, since names change and
dates are mistyped.
"""

import unicodedata
from collections.abc import Iterator, Sequence
from typing import Final

from xds.content.reading.model import ContentFinding, ContentPatient
from xds.metadata import hl7_escapes
from xds.metadata.datatypes import SourcePatientInfo

MISMATCH: Final = "patient-mismatch"
"""The code of the finding that a document is of another patient, for certain."""
DIFFERENCE: Final = "patient-difference"
"""The code of a finding that something differs which may be a mistake."""

_NAME: Final = 5
_BIRTH: Final = 7
_SEX: Final = 8
_DAY: Final = 8
"""Characters of a whole date."""


def patient_said(source_patient_info: Sequence[str]) -> ContentPatient | None:
    """Return whom a sourcePatientInfo is about (ITI TF-3 4.2.3.2.23), if it says anything."""
    fields: dict[int, str] = {}
    for value in source_patient_info:
        try:
            found = SourcePatientInfo.parse(value)
        except ValueError:
            continue
        fields.setdefault(found.field, found.repetitions[0])
    if not fields:
        return None
    parts = [hl7_escapes.unescape(part) for part in fields.get(_NAME, "").split("^")]
    family, given, further, suffix, prefix = (*parts, "", "", "", "", "")[:5]
    return ContentPatient(
        family=family,
        given=given,
        name=" ".join(filter(None, (prefix, given, further, family, suffix))),
        birth_date=fields.get(_BIRTH, "")[:_DAY],
        sex=fields.get(_SEX, ""),
    )


def patient_findings(
    patients: Sequence[ContentPatient],
    registered: Sequence[str],
    said: ContentPatient | None = None,
) -> tuple[ContentFinding, ...]:
    """Compare the patients of a document with the one that it is registered for.

    ``registered`` are patientId and sourcePatientId (CX), ``said`` is sourcePatientInfo. Of several
    patients one has to be the patient.
    """
    found = [tuple(_differences(one, registered, said)) for one in patients]
    return min(found, key=_weight, default=())


def is_of_another(findings: Sequence[ContentFinding]) -> bool:
    """Tell whether findings say that a document is of another patient."""
    return any(one.code == MISMATCH for one in findings)


def _weight(findings: Sequence[ContentFinding]) -> tuple[bool, int]:
    return is_of_another(findings), len(findings)


def _differences(
    patient: ContentPatient, registered: Sequence[str], said: ContentPatient | None
) -> Iterator[ContentFinding]:
    known = {one.partition("^")[2]: one for one in reversed(registered) if one}
    is_same = not {*patient.identifiers}.isdisjoint(known.values())
    if not is_same and any(one.partition("^")[2] in known for one in patient.identifiers):
        yield ContentFinding(
            code=MISMATCH,
            message="The document has another patient identifier than its entry, of one authority.",
        )
        return
    if said is None:
        return
    born = _differ(*_days(patient, said))
    named = _differ(_plain(patient.family), _plain(said.family))
    if born and named and not is_same:
        message = "The document has another name and another date of birth than its entry."
        yield ContentFinding(code=MISMATCH, message=message)
        return
    for differs, what in (
        (named, "family name"),
        (born, "date of birth"),
        (_differ(patient.sex, said.sex) and "U" not in (patient.sex, said.sex), "sex"),
    ):
        if differs:
            message = f"The document states another {what} than its entry."
            yield ContentFinding(code=DIFFERENCE, message=message)


def _days(patient: ContentPatient, said: ContentPatient) -> tuple[str, str]:
    """Return two dates of birth as exact as both are."""
    exact = min(len(patient.birth_date), len(said.birth_date), _DAY)
    return patient.birth_date[:exact], said.birth_date[:exact]


def _differ(one: str, other: str) -> bool:
    return bool(one and other) and one != other


def _plain(name: str) -> str:
    """Return a name without case, accents, hyphens and blanks."""
    letters = unicodedata.normalize("NFKD", name.casefold())
    return "".join(letter for letter in letters if letter.isalnum())
