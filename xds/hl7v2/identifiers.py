"""Patient ids of HL7 v2 messages: of the CX in a list, those of the affinity domain are kept."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from xds.hl7v2.message import Message, Repetition, Segment
from xds.hl7v2.problems import MessageRefused, Problem
from xds.metadata import datatypes
from xds.metadata.datatypes import CX

_FOREIGN: Final = "no patient id is of the assigning authority that it has to be of"


def _no_oid(namespace: str) -> str | None:
    return None


@dataclass(frozen=True, slots=True)
class AssigningAuthority:
    """Whose patient ids are kept (ITI TF-2 3.8.4.1.3)."""

    universal_id: str | None = None
    """The OID; None keeps every id that comes with an OID."""
    namespace_id: str | None = None
    """The name that stands for the OID where a message has no OID."""
    oid_of_namespace: Callable[[str], str | None] = _no_oid
    """Finds the OID of any other authority that a message names without one."""

    def of(self, identifier: Repetition) -> str | None:
        """Return the OID of the authority that a CX names, if it is this one.

        An OID decides, whatever name stands beside it.
        """
        namespace, universal, kind, *_ = (*_component(identifier, 3), "", "", "")
        if not universal and namespace:
            if namespace == self.namespace_id:
                return self.universal_id
            universal, kind = self.oid_of_namespace(namespace) or "", ""
        if not datatypes.is_oid(universal) or kind not in ("ISO", ""):
            return None
        return universal if self.universal_id in (None, universal) else None


def _component(repetition: Repetition, number: int) -> tuple[str, ...]:
    return repetition[number] if number < len(repetition) else ()


def patient_ids(
    message: Message, segment: str, number: int, authority: AssigningAuthority
) -> list[str]:
    """Return the ids in a field that are of the affinity domain, as metadata writes them.

    Raises Refused where there is none, one that cannot be written, or more than a field may hold.
    """
    found = message.segment(segment)
    if found is None:
        raise MessageRefused(Problem("101", f"{segment}^1^{number}", "there is no patient id"))
    return patient_ids_of(found, number, authority)


def patient_ids_of(segment: Segment, number: int, authority: AssigningAuthority) -> list[str]:
    """Return the ids in a field of one segment, as :func:`patient_ids`."""
    place = f"{segment.name}^{segment.sequence}^{number}"
    listed = [one for one in segment.field(number) if _number(one)]
    if not listed:
        raise MessageRefused(Problem("101", place, "there is no patient id"))
    kept = list(dict.fromkeys(written_ids(listed, place, authority)))
    if not kept:
        raise MessageRefused(Problem("204", f"{place}^1^4", _FOREIGN))
    return kept


def patient_id(
    message: Message, segment: str, number: int, place: int, authority: AssigningAuthority
) -> str:
    """Return the id at one place of a list, counted from 1; Refused unless of the authority."""
    location = f"{segment}^1^{number}^{place}"
    listed = message.field(segment, number)[place - 1 : place]
    if not listed or not _number(listed[0]):
        raise MessageRefused(Problem("101", location, "there is no patient id"))
    oid = authority.of(listed[0])
    if oid is None:
        raise MessageRefused(Problem("204", f"{location}^4", _FOREIGN))
    return _written(_number(listed[0]), oid, f"{location}^1")


def _number(identifier: Repetition) -> str:
    """Return component 1; a separator of subcomponents that was not escaped is part of it."""
    return "&".join(_component(identifier, 0))


def written_ids(
    listed: Iterable[Repetition], location: str, authority: AssigningAuthority
) -> Iterator[str]:
    """Yield those ids of a list that are of an authority, as metadata writes them."""
    for place, identifier in enumerate(listed, 1):
        oid = authority.of(identifier) if _number(identifier) else None
        if oid:
            yield _written(_number(identifier), oid, f"{location}^{place}^1")


def _written(number: str, oid: str, location: str) -> str:
    try:
        if "\N{REPLACEMENT CHARACTER}" in number:
            raise ValueError("a character is not of the declared set")
        return str(CX(number, oid))
    except ValueError:
        reason = "the patient id has characters that cannot be read"
        raise MessageRefused(Problem("102", location, reason)) from None
