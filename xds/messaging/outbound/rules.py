"""Rules that choose what a destination is told: those of metadata, and of patients and senders.

A rule is a table of a file, as :mod:`xds.metadata.entry_rules` reads it::

    [[destination.rule]]
    name = "genetic reports of Greater Manchester"
    type_code = ["1054161000000101^^2.16.840.1.113883.6.96"]
    postcode_area = ["M", "BL"]
    any = [{ practice = ["P84001"] }, { event_code = ["M1.1^^*"] }]
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from xds.metadata import entry_rules
from xds.metadata.criteria import Comparison, Criterion, Operator
from xds.metadata.entry_rules import pattern
from xds.metadata.objects import DocumentEntry

OF_PATIENTS: Final = ("postcode", "postcode_area", "practice", "sender")
"""What a rule may ask beside metadata: where the patient lives and is registered, as far as that is
known, and who sent the message that the document came in (``application|facility``)."""


def criterion_of(table: Mapping[str, Any]) -> Criterion:
    """Return the criterion that a rule says; BadRule."""
    return entry_rules.criterion_of(table, {key: partial(_of_patient, key) for key in OF_PATIENTS})


def _of_patient(key: str, value: str) -> Criterion:
    return Comparison(key, Operator.LIKE, (pattern(_NORMAL.get(key, str)(value)),))


def postcode(text: str) -> str:
    """Return a postcode as it is compared: upper case, without blanks."""
    return "".join(text.split()).upper()


def postcode_area(text: str) -> str:
    """Return the letters with which a postcode begins, such as BL."""
    compared = postcode(text)
    letters = [place for place, sign in enumerate(compared) if not sign.isalpha()]
    return compared[: letters[0]] if letters else compared


_NORMAL: Final[Mapping[str, Callable[[str], str]]] = {
    "postcode": postcode,
    "postcode_area": postcode_area,
}


def known_of(
    entry: DocumentEntry, *, practice: str = "", sender: str = "", postcode_known: str = ""
) -> Mapping[str, str]:
    """Return what rules may ask of an entry beside its metadata; what is not known is empty.

    ``postcode_known`` is that of the patient, for an entry that has none.
    """
    written = _postcode_of(entry) or postcode_known
    return {
        "postcode": postcode(written),
        "postcode_area": postcode_area(written),
        "practice": practice,
        "sender": sender,
    }


def _postcode_of(entry: DocumentEntry) -> str:
    """Return component 5 of PID-11 in sourcePatientInfo."""
    for value in entry.source_patient_info:
        field, _, address = value.partition("|")
        if field == "PID-11":
            return (address.partition("~")[0].split("^") + [""] * 5)[4]
    return ""
