"""What an update changes of a document: the resource that is wanted against the one there is.

Both are read into attributes, and those that differ are what changes; so nothing is lost of an
attribute that FHIR cannot say. What may not change is refused as CH:MHD-1 tells it: by the error
codes of ITI-57 and ITI-92.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from xds.fhir import vocabulary as f
from xds.fhir.datatypes.context import Reading
from xds.fhir.datatypes.identifiers import of_kind, unique_id_of, uuid_of
from xds.fhir.exchange import Call, Facade
from xds.fhir.r4.issues import IssueCollector
from xds.fhir.r4.outcome import Issue, Refused
from xds.fhir.r4.resource import Resource
from xds.metadata import vocabulary as v
from xds.metadata.objects import DocumentEntry
from xds.metadata.unique_ids import normal
from xds.mhd.mapping.common import nowhere
from xds.mhd.mapping.document_references import read_document_reference
from xds.mhd.mapping.riders import Rider
from xds.mhd.mapping.table import element
from xds.mhd.provide.publishing import check_lengths, check_modifiers
from xds.mhd.updates.targets import CurrentDocument

PATH: Final = "DocumentReference"
UNMODIFIABLE: Final = "UnmodifiableMetadataError"
_IDENTIFIER: Final = "XDSMetadataIdentifierError"
_PATIENT: Final = "XDSPatientIDReconciliationError"
_STATUSES: Final = {f.CURRENT: v.APPROVED, f.SUPERSEDED: v.DEPRECATED}
_UNCHANGEABLE: Final[Mapping[str, str]] = {
    "unique_id": _IDENTIFIER,
    "hash": UNMODIFIABLE,
    "size": UNMODIFIABLE,
    "source_patient_id": UNMODIFIABLE,
    "home_community_id": UNMODIFIABLE,
    "document_availability": UNMODIFIABLE,
}
"""The errors for attributes that no update changes (ITI TF-2 table 3.92.4.1.2-1)."""
_COMPARED_APART: Final = frozenset(
    {"entry_uuid", "logical_id", "availability_status", "fhir_elements", "patient_id"}
)


@dataclass(frozen=True, slots=True)
class DocumentChange:
    """What one update changes of one document."""

    old: DocumentEntry
    attributes: Mapping[str, object]
    """The attributes that differ, by their Python names, with what they are to be."""
    status: str | None
    """The availabilityStatus that it is to have; None where it stays."""

    @property
    def is_nothing(self) -> bool:
        """Whether the update says what is there already."""
        return not self.attributes and self.status is None


def change(facade: Facade, call: Call, target: CurrentDocument, wanted: Resource) -> DocumentChange:
    """Return what a resource changes of what is registered.

    Raises Refused with all that may not change, and with all that cannot be read.
    """
    problems = IssueCollector()
    check_modifiers(wanted, PATH, problems)
    _check_id(target, wanted, problems)
    status = _status(target, wanted, problems)
    found = [
        *_identifiers(facade, target, wanted),
        *_subject(target.resource, wanted, call.base),
        *_elsewhere(target.resource, wanted),
    ]
    changed: dict[str, object] = {}
    if not any(one.expression == (f"{PATH}.masterIdentifier",) for one in found):
        old, new = (_read(facade, one, target.entry) for one in (target.resource, wanted))
        changed = {name: value for name, _, value in _differing(old, new)}
        found += _attributes(old, new, facade.config.restricted_attributes or "")
        elements = [path for _, path, _ in _differing(old, new)]
        elements += [f"{PATH}.status"] if status is not None else []
        found += _not_listed(elements, facade.config.fhir_changeable)
        check_lengths(target.entry.updated(**changed), PATH, problems, mapped=True)
    _settle(problems, found, int(facade.config.fhir_unchangeable_status))
    return DocumentChange(target.entry, changed, status)


def _settle(problems: IssueCollector, unchangeable: Sequence[Issue], status: int) -> None:
    """Raise Refused with all that is wrong, and all that may not change."""
    for issue in unchangeable:
        problems.error(
            issue.code,
            issue.diagnostics,
            *issue.expression,
            status=status,
            error_code=issue.error_code,
        )
    try:
        problems.raise_if_any()
    except Refused as refused:
        # an answer of 405 says what is allowed of the resource (RFC 9110 15.5.6)
        allowed = {"Allow": "GET, HEAD"} if refused.status == 405 else {}
        raise Refused(refused.status, refused.issues, allowed) from None


def _read(facade: Facade, resource: Resource, entry: DocumentEntry) -> DocumentEntry:
    """Read the attributes; the status is compared apart."""
    reading = Reading(systems=facade.domain.systems, path=PATH, resolve=nowhere)
    said = {**resource, "status": f.CURRENT}
    return read_document_reference(said, reading, patient_id=entry.patient_id or "").thing


def _differing(old: DocumentEntry, new: DocumentEntry) -> Iterator[tuple[str, str, Any]]:
    """Yield name, FHIRPath and new value of the attributes in which two readings differ."""
    for name, attribute in DocumentEntry.attributes().items():
        value = attribute.read(new)
        if name not in _COMPARED_APART and attribute.read(old) != value:
            yield name, element(new, attribute.tf_name, PATH), value
    riders = [Rider.of(one.fhir_elements) for one in (old, new)]
    if riders[0] != riders[1]:
        before, after = (one.elements for one in riders)
        names = [name for name in {**before, **after} if before.get(name) != after.get(name)]
        for name in names or [PATH]:
            yield "fhir_elements", _path(name), new.fhir_elements


def _path(ridden: str) -> str:
    name = ridden.partition("(")[0].replace("._", ".").removeprefix("_")
    return f"{PATH}.{name}"


def _refused(error_code: str, diagnostics: str, path: str) -> Issue:
    return Issue(
        code="processing", diagnostics=diagnostics, expression=(path,), error_code=error_code
    )


# --- what may not change -------------------------------------------------------------------------


def _check_id(target: CurrentDocument, wanted: Resource, problems: IssueCollector) -> None:
    given = wanted.get("id", target.resource["id"])
    if given != target.resource["id"]:
        problems.error("invalid", "the id is not that of the URL (R4, 3.1.0.4)", f"{PATH}.id")


def _status(target: CurrentDocument, wanted: Resource, problems: IssueCollector) -> str | None:
    """Return the availabilityStatus that is wanted, None where it is there already."""
    said = wanted.get("status", "")
    if said == target.resource["status"]:
        return None
    if said not in _STATUSES:
        known = ", ".join(_STATUSES)
        problems.error("value", f"the status of a document is one of {known}", f"{PATH}.status")
        return None
    return _STATUSES[said]


def _identifiers(facade: Facade, target: CurrentDocument, wanted: Resource) -> Iterator[Issue]:
    """Tell of another uniqueId, and of UUIDs that are none of the document's versions."""
    entry = target.entry
    own_unique_id = normal(entry.unique_id or "")
    if normal(_unique_id(facade, wanted.get("masterIdentifier"))) not in ("", own_unique_id):
        reason = "the uniqueId of a document does not change"
        yield _refused(_IDENTIFIER, reason, f"{PATH}.masterIdentifier")
    own = {entry.entry_uuid, entry.logical_id or entry.entry_uuid}
    listed = wanted.get("identifier", [])
    for kind in (f.ENTRY_UUID, f.LOGICAL_ID):
        for place, one in of_kind(listed, kind):
            if _uuid(one) not in own:
                where = f"{PATH}.identifier[{place}]"
                yield _refused(_IDENTIFIER, "the UUID is not that of the document", where)


def _unique_id(facade: Facade, identifier: Resource | None) -> str:
    try:
        return unique_id_of(identifier or {}, facade.domain.systems)
    except ValueError:
        return ""


def _uuid(identifier: Resource) -> str:
    try:
        return uuid_of(identifier)
    except ValueError:
        return ""


def _subject(current: Resource, wanted: Resource, base: str) -> Iterator[Issue]:
    """Tell of a subject that is not the patient of the document."""
    said, own = wanted.get("subject") or {}, current.get("subject") or {}
    if "reference" in said:
        is_same = said["reference"].removeprefix(f"{base}/") == own.get("reference")
    else:
        names = [
            (one.get("system"), one.get("value"))
            for one in (found.get("identifier") or {} for found in (said, own))
        ]
        is_same = names[0] == names[1]
    if not is_same:
        reason = "the subject is not the patient of the document"
        yield _refused(_PATIENT, reason, f"{PATH}.subject")


def _elsewhere(current: Resource, wanted: Resource) -> Iterator[Issue]:
    """Tell of changes of what is no attribute: the document itself, and its relations."""
    where = f"{PATH}.content[0].attachment"
    (own, *_), said = [one.get("content") or [{}] for one in (current, wanted)]
    old, new = own.get("attachment", {}), said[0].get("attachment", {})
    if "data" in new:
        reason = "an update changes no document; another one replaces it"
        yield _refused(UNMODIFIABLE, reason, f"{where}.data")
    if new.get("url", old.get("url")) != old.get("url"):
        yield _refused(UNMODIFIABLE, "the URL of the document does not change", f"{where}.url")
    if _relations(current) != _relations(wanted):
        reason = "an update changes no relation of documents"
        yield _refused(UNMODIFIABLE, reason, f"{PATH}.relatesTo")


def _relations(resource: Resource) -> set[tuple[str, str]]:
    """Return code and target of each relation."""
    return {
        (one.get("code", ""), one.get("target", {}).get("reference", "").rpartition("/")[2])
        for one in resource.get("relatesTo") or ()
    }


def _attributes(old: DocumentEntry, new: DocumentEntry, restricted: str) -> Iterator[Issue]:
    """Tell of attributes that no update changes, or none in this affinity domain."""
    excluded = restricted.split()
    for name, path, _ in _differing(old, new):
        tf_name = DocumentEntry.attributes()[name].tf_name
        if error := _UNCHANGEABLE.get(name):
            yield _refused(error, f"{tf_name} does not change", path)
        elif tf_name in excluded:
            reason = f"{tf_name} is not to be changed in this affinity domain"
            yield _refused(UNMODIFIABLE, reason, path)


def _not_listed(paths: Sequence[str], changeable: str | None) -> Iterator[Issue]:
    """Tell of elements that are not among those that may change here."""
    if changeable is None:
        return
    for path in dict.fromkeys(paths):
        name = path.removeprefix(f"{PATH}.").partition(".")[0].partition("[")[0]
        if name not in changeable.split():
            yield _refused(UNMODIFIABLE, f"only {changeable} may change here", path)
