"""What an update changes of a document: the resource that is wanted against the one there is.

Both are read into attributes, and those that differ are what changes; so nothing is lost of an
attribute that FHIR cannot say. What may not change is refused as CH:MHD-1 tells it: by the error
codes of ITI-57 and ITI-92.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final

from xds.fhir import vocabulary as f
from xds.fhir.datatypes.context import Reading
from xds.fhir.datatypes.identifiers import unique_id_of
from xds.fhir.exchange import Call
from xds.fhir.facade import Facade
from xds.fhir.r4.issues import IssueCollector
from xds.fhir.r4.outcome import Issue
from xds.fhir.r4.resource import Resource
from xds.metadata import vocabulary as v
from xds.metadata.objects import DocumentEntry
from xds.metadata.unique_ids import normal
from xds.mhd.mapping.common import nowhere
from xds.mhd.mapping.document_references import document_url, read_document_reference
from xds.mhd.provide.publishing import check_lengths, check_modifiers
from xds.mhd.updates import comparison
from xds.mhd.updates.comparison import (
    IDENTIFIER,
    UNMODIFIABLE,
    CurrentResource,
    MetadataChange,
    differing,
    unchangeable,
)

_PATH: Final = "DocumentReference"
_STATUSES: Final = {
    f.CURRENT: v.APPROVED,
    f.SUPERSEDED: v.DEPRECATED,
    f.ENTERED_IN_ERROR: v.DEPRECATED,
}
_UNCHANGEABLE: Final[Mapping[str, str]] = {
    "unique_id": IDENTIFIER,
    "hash": UNMODIFIABLE,
    "size": UNMODIFIABLE,
    "source_patient_id": UNMODIFIABLE,
    "home_community_id": UNMODIFIABLE,
    "document_availability": UNMODIFIABLE,
}
"""The errors for attributes that no update changes (ITI TF-2 table 3.92.4.1.2-1)."""


def document_change(
    facade: Facade, call: Call, current: CurrentResource, wanted: Resource
) -> MetadataChange:
    """Return what a DocumentReference changes of what is registered.

    Raises Refused with all that may not change, and with all that cannot be read.
    """
    entry = current.thing
    assert isinstance(entry, DocumentEntry), "a DocumentReference stands for one"
    problems = IssueCollector()
    check_modifiers(wanted, _PATH, problems)
    comparison.check_id(current.resource, wanted, problems, is_in_url=bool(call.identifier))
    status = _status(facade, current, wanted, problems)
    found = [
        *_identifiers(facade, current, wanted),
        *comparison.other_subject(current.resource, wanted, call.base),
        *_elsewhere(current, wanted, call.base),
    ]
    changed: dict[str, object] = {}
    if not any(one.expression == (f"{_PATH}.masterIdentifier",) for one in found):
        old, new = (_read(facade, one, entry) for one in (current.resource, wanted))
        differences = list(differing(old, new, _PATH))
        changed = {name: value for name, _, value in differences}
        found += _attributes(differences, facade.config.restricted_attributes or "")
        elements = [path for _, path, _ in differences]
        elements += [f"{_PATH}.status"] if status is not None else []
        found += _not_listed(elements, facade.config.fhir_changeable)
        check_lengths(entry.updated(**changed), _PATH, problems, mapped=True)
    comparison.raise_all(problems, found, int(facade.config.fhir_unchangeable_status))
    return MetadataChange(_PATH, entry, changed, status)


def _read(facade: Facade, resource: Resource, entry: DocumentEntry) -> DocumentEntry:
    """Read the attributes; the status is compared apart."""
    reading = Reading(facade.domain.systems, _PATH, nowhere, is_of_one_here=True)
    said = comparison.with_status_apart(resource)
    found = read_document_reference(said, reading, patient_id=entry.patient_id or "").thing
    return comparison.of_community(found, entry)


# --- what may not change -------------------------------------------------------------------------


def _status(
    facade: Facade, current: CurrentResource, wanted: Resource, problems: IssueCollector
) -> str | None:
    """Return the availabilityStatus that is wanted, None where it is there already."""
    said = wanted.get("status", "")
    takes_errors = facade.config.fhir_entered_in_error == "yes"
    known = [one for one in _STATUSES if takes_errors or one != f.ENTERED_IN_ERROR]
    if said not in known and said != current.resource["status"]:
        told = f"the status of a document is one of {', '.join(known)}"
        problems.error("value", told, f"{_PATH}.status")
        return None
    found = _STATUSES[said]
    return found if found != current.thing.availability_status else None


def _identifiers(facade: Facade, current: CurrentResource, wanted: Resource) -> Iterator[Issue]:
    """Tell of another uniqueId, and of UUIDs that are none of the document's versions."""
    read = partial(unique_id_of, systems=facade.domain.systems)
    said = normal(comparison.of(read, wanted.get("masterIdentifier") or {}))
    if said not in ("", normal(current.thing.unique_id or "")):
        reason = "the uniqueId of a document does not change"
        yield unchangeable(IDENTIFIER, reason, f"{_PATH}.masterIdentifier")
    yield from comparison.other_uuids(current, wanted.get("identifier", []), _PATH)


def _elsewhere(current: CurrentResource, wanted: Resource, base: str) -> Iterator[Issue]:
    """Tell of changes of what is no attribute: the document itself, and its relations.

    A document has a URL for each version of its metadata, and what was read may be any of them.
    """
    where = f"{_PATH}.content[0].attachment"
    (own, *_), said = [one.get("content") or [{}] for one in (current.resource, wanted)]
    old, new = own.get("attachment", {}), said[0].get("attachment", {})
    if "data" in new:
        reason = "an update changes no document; another one replaces it"
        yield unchangeable(UNMODIFIABLE, reason, f"{where}.data")
    urls = {old.get("url"), None, *(document_url(one, base) for one in current.uuids)}
    if new.get("url") not in urls:
        yield unchangeable(UNMODIFIABLE, "the URL of the document does not change", f"{where}.url")
    if _relations(current.resource) != _relations(wanted):
        reason = "an update changes no relation of documents"
        yield unchangeable(UNMODIFIABLE, reason, f"{_PATH}.relatesTo")


def _relations(resource: Resource) -> set[tuple[str, str]]:
    """Return code and target of each relation."""
    return {
        (one.get("code", ""), one.get("target", {}).get("reference", "").rpartition("/")[2])
        for one in resource.get("relatesTo") or ()
    }


def _attributes(differences: Sequence[tuple[str, str, Any]], restricted: str) -> Iterator[Issue]:
    """Tell of attributes that no update changes, or none in this affinity domain."""
    excluded = restricted.split()
    for name, path, _ in differences:
        tf_name = DocumentEntry.attributes()[name].tf_name
        if error := _UNCHANGEABLE.get(name):
            yield unchangeable(error, f"{tf_name} does not change", path)
        elif tf_name in excluded:
            reason = f"{tf_name} is not to be changed in this affinity domain"
            yield unchangeable(UNMODIFIABLE, reason, path)


def _not_listed(paths: Sequence[str], changeable: str | None) -> Iterator[Issue]:
    """Tell of elements that are not among those that may change here."""
    if changeable is None:
        return
    for path in dict.fromkeys(paths):
        name = path.removeprefix(f"{_PATH}.").partition(".")[0].partition("[")[0]
        if name not in changeable.split():
            yield unchangeable(UNMODIFIABLE, f"only {changeable} may change here", path)
