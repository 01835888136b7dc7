"""What an update changes of any resource, and what it may not: told by codes of ITI-57 and 92."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, NamedTuple, TypeVar

from xds.fhir.datatypes.identifiers import of_kind, uuid_of
from xds.fhir.r4.issues import IssueCollector
from xds.fhir.r4.outcome import Issue, Refused
from xds.fhir.r4.resource import Resource
from xds.fhir.vocabulary import CURRENT, ENTERED_IN_ERROR, ENTRY_UUID, LOGICAL_ID
from xds.metadata.objects import DocumentEntry, Folder, SubmissionSet
from xds.mhd.mapping.common import ENTERED_IN_ERROR_MARK
from xds.mhd.mapping.riders import Rider
from xds.mhd.mapping.table import element

T = TypeVar("T", DocumentEntry, Folder)

UNMODIFIABLE: Final = "UnmodifiableMetadataError"
IDENTIFIER: Final = "XDSMetadataIdentifierError"
STALE: Final = "XDSMetadataVersionError"
PATIENT: Final = "XDSPatientIDReconciliationError"
_MARKED: Final = "further_codes"
_COMPARED_APART: Final = frozenset(
    {"entry_uuid", "logical_id", "availability_status", "patient_id", "fhir_elements"}
)


class CurrentResource(NamedTuple):
    """A resource as it is now."""

    thing: DocumentEntry | Folder | SubmissionSet
    """The object that it stands for."""
    resource: Resource
    """What a read of it gives."""
    uuids: frozenset[str]
    """The entryUUIDs of all its versions, one of which a client may have read."""

    @property
    def id(self) -> str:
        """The id of the resource."""
        identifier: str = self.resource["id"]
        return identifier


@dataclass(frozen=True, slots=True)
class MetadataChange:
    """What one update changes of one document or Folder."""

    path: str
    """The FHIRPath of the resource that says it."""
    old: DocumentEntry | Folder
    attributes: Mapping[str, object]
    """The attributes that differ, by their Python names, with what they are to be."""
    status: str | None = None
    """The availabilityStatus that it is to have; None where it stays."""
    joining: Mapping[str, str] = field(default_factory=dict)
    """The entryUUIDs of documents that a Folder is to hold besides; the FHIRPath of each."""
    leaving: tuple[str, ...] = ()
    """The entryUUIDs of the memberships of a Folder that are to end."""

    def at(self, path: str) -> "MetadataChange":
        """Return the same of a resource at another FHIRPath."""
        joining = {uuid: path + one.removeprefix(self.path) for uuid, one in self.joining.items()}
        return replace(self, path=path, joining=joining)

    @property
    def is_nothing(self) -> bool:
        """Whether the update says what is there already."""
        return not (self.attributes or self.status or self.joining or self.leaving)


def unchangeable(error_code: str, diagnostics: str, path: str) -> Issue:
    """Return the issue of what may not change."""
    return Issue(
        code="processing", diagnostics=diagnostics, expression=(path,), error_code=error_code
    )


def raise_all(problems: IssueCollector, refused: Iterable[Issue], status: int) -> None:
    """Raise Refused with all that is wrong, and all that may not change, if there is any.

    ``status`` is the HTTP status for what may not change.
    """
    for issue in refused:
        problems.error(
            issue.code,
            issue.diagnostics,
            *issue.expression,
            status=status,
            error_code=issue.error_code,
        )
    try:
        problems.raise_if_any()
    except Refused as found:
        # an answer of 405 says what is allowed of the resource (RFC 9110 15.5.6)
        allowed = {"Allow": "GET, HEAD"} if found.status == 405 else {}
        raise Refused(found.status, found.issues, allowed) from None


def differing(
    old: DocumentEntry | Folder, new: DocumentEntry | Folder, path: str
) -> Iterator[tuple[str, str, Any]]:
    """Yield name, FHIRPath and new value of the attributes in which two readings differ.

    ``path`` is the FHIRPath of the resource.
    """
    for name, attribute in type(old).attributes().items():
        before, value = attribute.read(old), attribute.read(new)
        if name not in _COMPARED_APART and before != value:
            is_status = name == _MARKED and set(before) ^ set(value) == {ENTERED_IN_ERROR_MARK}
            place = f"{path}.status" if is_status else element(new, attribute.tf_name, path)
            yield name, place, value
    riders = [Rider.of(one.fhir_elements) for one in (old, new)]
    if riders[0] != riders[1]:
        before, after = (one.elements for one in riders)
        names = [name for name in {**before, **after} if before.get(name) != after.get(name)]
        for name in names or [""]:
            yield "fhir_elements", _path(name, path), new.fhir_elements


def _path(ridden: str, path: str) -> str:
    name = ridden.partition("(")[0].replace("._", ".").removeprefix("_")
    return f"{path}.{name}" if name else path


def with_status_apart(resource: Resource) -> Resource:
    """Return a resource to compare by its attributes: its status is compared apart.

    But for the one that XDS has not, which is an attribute.
    """
    is_in_error = resource.get("status") == ENTERED_IN_ERROR
    return {**resource, "status": ENTERED_IN_ERROR if is_in_error else CURRENT}


def of_community(thing: T, registered: T) -> T:
    """Return what was read of a resource, in its community: that stays where none is named."""
    if thing.home_community_id or not registered.home_community_id:
        return thing
    return thing.updated(home_community_id=registered.home_community_id)


def check_id(
    current: Resource, wanted: Resource, problems: IssueCollector, *, is_in_url: bool
) -> None:
    """Note an id that is another one, or that is missing where the URL has it (R4, 3.1.0.4)."""
    where = f"{current['resourceType']}.id"
    if "id" not in wanted:
        if is_in_url:
            problems.error("required", "the id is missing, which is that of the URL", where)
    elif wanted["id"] != current["id"]:
        problems.error("invalid", "the id is not that of the URL (R4, 3.1.0.4)", where)


def other_uuids(current: CurrentResource, listed: Sequence[Resource], path: str) -> Iterator[Issue]:
    """Tell of identifiers that are UUIDs of none of the versions."""
    for kind in (ENTRY_UUID, LOGICAL_ID):
        for place, one in of_kind(listed, kind):
            if of(uuid_of, one) not in current.uuids:
                reason = f"the UUID is not that of the {current.thing.KIND}"
                yield unchangeable(IDENTIFIER, reason, f"{path}.identifier[{place}]")


def of(read: Callable[[Resource], str], identifier: Resource) -> str:
    """Return what an identifier is read as; nothing where it cannot be."""
    try:
        return read(identifier)
    except ValueError:
        return ""


def other_subject(current: Resource, wanted: Resource, base: str) -> Iterator[Issue]:
    """Tell of a subject that is another patient; ``base`` is the URL of the FHIR base."""
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
        path = f"{current['resourceType']}.subject"
        yield unchangeable(PATIENT, "the subject is not the patient that it was", path)
