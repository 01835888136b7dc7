"""What differs from patient to patient, from stay to stay, and from document to document.

All comes from the chance that is handed in, and from nowhere else.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from random import Random
from typing import Final

from bench.load.document_kinds import DocumentKind, catalogue
from bench.load.patterns import EVENTS

Values = Mapping[str, str]
"""Texts for blanks, by their names in :mod:`bench.load.patterns`."""

AUTHORITY: Final = "2.999.1.1"
"""The OID that issues patient ids, where nobody says otherwise."""
FIRST_ID: Final = 9_990_000_000
"""Ten digits, as an NHS number has them, and of the range that no person has."""
_BORN: Final = 1930
_STAFF: Final = 4_000
_WARDS: Final = 60
_VARIANT: Final = "89ab"


def uuid(chance: Random) -> str:
    """Return a UUID of version 4."""
    digits = f"{chance.getrandbits(128):032x}"
    variant = _VARIANT[int(digits[16], 16) & 3]
    return (
        f"urn:uuid:{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-"
        f"{variant}{digits[17:20]}-{digits[20:]}"
    )


def oid(chance: Random) -> str:
    """Return an OID that is made of a UUID (2.25)."""
    return f"2.25.{chance.getrandbits(128)}"


def patient_id(number: int, authority: str) -> str:
    """Return the id (CX) of a patient of that number."""
    return f"{FIRST_ID + number}^^^&{authority}&ISO"


def person(chance: Random, number: int, authority: str) -> Values:
    """Return who a patient is."""
    names = catalogue()
    place = f"{chance.randint(1, 200)} {chance.choice(names.street)}"
    return {
        "patient": patient_id(number, authority),
        "local id": f"RX{number:08}",
        "name": f"{chance.choice(names.family)}^{chance.choice(names.given)}",
        "born": f"{_BORN + number % 95}{chance.randint(1, 12):02}{chance.randint(1, 28):02}",
        "sex": chance.choice("MF"),
        "address": f"{place}^^{chance.choice(names.town)}^^ZZ9 {number % 10}ZZ^GBR",
    }


def stay(chance: Random, now: datetime, patient: Values) -> dict[str, str]:
    """Return what the objects of one submission have in common."""
    ward = chance.randrange(_WARDS)
    started = now - timedelta(minutes=chance.randint(60, 20_000))
    return {
        **patient,
        **_clinician(chance, 0),
        **_clinician(chance, 1),
        "hospital": catalogue().hospital[ward % len(catalogue().hospital)],
        "ward": f"Ward {ward}",
        "ward number": f"W{ward:03}",
        "stay": f"V{chance.getrandbits(40)}",
        "submitted": f"{now:%Y%m%d%H%M%S}",
        "started": f"{started:%Y%m%d%H%M}",
        "stopped": f"{now:%Y%m%d%H%M}",
        "created": f"{now:%Y%m%d%H%M%S}",
        "comments": f"Of the stay that began on {started:%d %B %Y}.",
    }


def _clinician(chance: Random, number: int) -> Values:
    names, one = catalogue(), chance.randrange(_STAFF)
    family = names.family[one % len(names.family)]
    given = names.given[one % len(names.given)]
    return {
        f"author {number}": f"C{1_000_000 + one}^{family}^{given}^^^Dr",
        f"mail {number}": f"c{one}@hospital.example",
    }


def document(chance: Random, kind: DocumentKind, repository: str) -> Values:
    """Return what is of one document alone."""
    events = chance.choices(kind.events, k=EVENTS)
    found = {
        "hash": f"{chance.getrandbits(160):040x}",
        "size": str(chance.randint(kind.size // 4, kind.size * 2)),
        "order": f"A{chance.getrandbits(40)}",
        "repository": repository,
    }
    for number, code in enumerate(events):
        found[f"event {number}"] = code.code
        found[f"event scheme {number}"] = code.coding_scheme
        found[f"event name {number}"] = code.display_name
    return found


def episode(kind: DocumentKind) -> Values:
    """Return what a Folder is of that is opened with a document of that kind."""
    code = kind.practice_setting_code
    return {
        "code": code.code,
        "code scheme": code.coding_scheme,
        "code name": code.display_name,
        "title": f"{code.display_name} episode",
    }
