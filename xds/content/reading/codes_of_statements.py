"""Codes of statements, of SNOMED CT, LOINC and HL7 v3, and what they are in FHIR R4."""

from collections.abc import Mapping
from typing import Final, Literal

from xds.content.reading.model import StatementKind

CLINICAL: Final[Mapping[str, str]] = {
    "55561003": "active",
    "73425007": "inactive",
    "90734009": "active",  # chronic
    "7087005": "active",  # intermittent
    "255227004": "recurrence",
    "246455001": "recurrence",
    "277022003": "remission",
    "413322009": "resolved",
}
"""Problem Status (SNOMED CT) to condition-clinical of FHIR."""
CLINICAL_CODES: Final[Mapping[str, str]] = {
    "active": "55561003",
    "inactive": "73425007",
    "recurrence": "246455001",
    "remission": "277022003",
    "resolved": "413322009",
}
"""The other way."""
OF_CONCERN: Final = {"active": "active", "suspended": "inactive", "aborted": "inactive"}
OF_MEDICATION: Final = {
    "aborted": "stopped",
    "active": "active",
    "cancelled": "not-taken",
    "held": "on-hold",
    "new": "intended",
    "suspended": "on-hold",
}
OF_PROCEDURE: Final = {
    "aborted": "stopped",
    "active": "in-progress",
    "cancelled": "not-done",
    "completed": "completed",
    "held": "on-hold",
    "new": "preparation",
    "suspended": "on-hold",
}
CRITICALITIES: Final[Mapping[str, Literal["low", "high", "unable-to-assess"]]] = {
    "CRITL": "low",
    "CRITH": "high",
    "CRITU": "unable-to-assess",
}
CATEGORIES: Final[Mapping[str, Literal["food", "medication", "environment"]]] = {
    "414285001": "food",
    "418471000": "food",
    "235719002": "food",
    "416098002": "medication",
    "419511003": "medication",
    "59037007": "medication",
    "426232007": "environment",
    "DALG": "medication",
    "DINT": "medication",
    "DNAINT": "medication",
    "EALG": "environment",
    "EINT": "environment",
    "ENAINT": "environment",
    "FALG": "food",
    "FINT": "food",
    "FNAINT": "food",
}
ALLERGY_TYPES: Final[Mapping[str, Literal["allergy", "intolerance"]]] = {
    **dict.fromkeys(
        ("414285001", "416098002", "419199007", "426232007", "ALG", "DALG", "EALG", "FALG"),
        "allergy",
    ),
    **dict.fromkeys(("235719002", "59037007", "782197009"), "intolerance"),
    **dict.fromkeys(("DNAINT", "ENAINT", "FNAINT", "NAINT"), "intolerance"),
}
"""Types of allergies, of SNOMED CT and ObservationIntoleranceType."""
_SNOMED: Final = "2.16.840.1.113883.6.96"
_INTOLERANCES: Final = "2.16.840.1.113883.5.4"
ALLERGY_CODES: Final[Mapping[tuple[str, str], tuple[str, str, str]]] = {
    ("", ""): ("420134006", _SNOMED, "Propensity to adverse reaction"),
    ("", "allergy"): ("419199007", _SNOMED, "Allergy to substance"),
    ("", "intolerance"): ("782197009", _SNOMED, "Intolerance to substance"),
    ("environment", ""): ("EINT", _INTOLERANCES, "Environmental intolerance"),
    ("environment", "allergy"): ("426232007", _SNOMED, "Environmental allergy"),
    ("environment", "intolerance"): ("ENAINT", _INTOLERANCES, "Environmental non-allergy"),
    ("food", ""): ("418471000", _SNOMED, "Propensity to adverse reactions to food"),
    ("food", "allergy"): ("414285001", _SNOMED, "Allergy to food"),
    ("food", "intolerance"): ("235719002", _SNOMED, "Food intolerance"),
    ("medication", ""): ("419511003", _SNOMED, "Propensity to adverse reactions to drug"),
    ("medication", "allergy"): ("416098002", _SNOMED, "Allergy to drug"),
    ("medication", "intolerance"): ("59037007", _SNOMED, "Drug intolerance"),
}
"""Categories and types of FHIR to types of allergies."""
KINDS_OF_ALLERGY: Final = frozenset(
    {
        *CATEGORIES,
        *ALLERGY_TYPES,
        "ALG",
        "ASSERTION",
        "OINT",
        "DINT",
        "EINT",
        "FINT",
        "418038007",
        "419199007",
        "420134006",
    }
)
"""What says that there is an allergy, and not of what."""
NONE_KNOWN: Final[Mapping[StatementKind, frozenset[str]]] = {
    "allergy": frozenset(
        {"160244002", "409137002", "428607008", "429625007", "716186003", "no-known-allergies"}
    ),
    "condition": frozenset({"160245001", "no-known-problems"}),
    "device": frozenset({"787483001", "no-known-devices"}),
    "immunization": frozenset({"787482006", "no-known-immunizations"}),
    "medication": frozenset({"182849000", "787481004", "no-known-medications"}),
    "procedure": frozenset({"787480003", "no-known-procedures"}),
}
"""Codes by which documents say that nothing of a kind is known (IPS 2.0 and before)."""
GENERIC: Final[Mapping[StatementKind, frozenset[str]]] = {
    "condition": frozenset(
        {
            *("404684003", "409586006", "418799008", "55607006", "64572001", "282291009"),
            *("29308-4", "75326-9", "75321-0", "75323-6"),
        }
    ),
    "device": frozenset({"49062001", "40388003"}),
    "immunization": frozenset({"71181003", "33879002", "127785005"}),
    "medication": frozenset({"410942007", "763158003"}),
    "procedure": frozenset({"71388002"}),
}
"""Codes that name a kind and no thing of it: negated, they say that none is known."""
SEVERITY_CODES: Final[Mapping[str, str]] = {
    "mild": "255604002",
    "moderate": "6736007",
    "severe": "24484000",
}
"""reaction-event-severity to SNOMED CT."""
