"""Which of a patient's identifiers the documents are filed by, where no option says it.

XDS knows a patient by one identifier, of the assigning authority of the affinity domain (ITI TF-3
4.2.3.2.16). Without the option ``assigning_authority``, only one that is already a patient of the
registry can be told from the others.
"""

from collections.abc import Callable, Collection, Sequence
from typing import Final

from xds.metadata.datatypes import CX

FindKnown = Callable[[Sequence[str]], Collection[str]]
"""Returns those patient ids (CX) that are patients of the registry, and were not merged away."""

_MOST_NAMED: Final = 10


class AmbiguousPatient(ValueError):
    """Several identifiers could be meant; the text names their systems, and none of the values."""


def nobody(_: Sequence[str]) -> Collection[str]:
    """Know no patient."""
    return ()


def only(candidates: Sequence[str], known: FindKnown) -> str:
    """Return the patient id (CX) that is meant: the only one, or the only one that is known."""
    distinct = list(dict.fromkeys(candidates))
    if len(distinct) > 1:
        distinct = [one for one in distinct if one in set(known(distinct))] or distinct
    if len(distinct) == 1:
        return distinct[0]
    systems = dict.fromkeys(f"urn:oid:{CX.parse(one).assigning_authority}" for one in distinct)
    raise AmbiguousPatient(
        f"several identifiers could be the patientId, of {', '.join([*systems][:_MOST_NAMED])}: "
        "send only the one that is meant, or set the option assigning_authority to its OID"
    )
