"""What documents, SubmissionSets and Folders have in common as resources."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from typing import Final, ParamSpec, TypeVar

from xds.fhir import vocabulary as f
from xds.fhir.datatypes import times
from xds.fhir.datatypes.codes import coding
from xds.fhir.datatypes.exact import extension, extensions
from xds.fhir.datatypes.identifiers import (
    kind_of,
    of_kind,
    uuid_identifier,
    uuid_identifier_text,
    uuid_of,
)
from xds.fhir.r4.issues import IssueCollector
from xds.fhir.r4.resource import Resource
from xds.metadata import vocabulary as v
from xds.metadata.datatypes import check_oid_urn
from xds.metadata.objects import Code, MetadataObject
from xds.metadata.systems import Systems
from xds.metadata.unique_ids import normal
from xds.mhd import vocabulary as mhd

P = ParamSpec("P")
T = TypeVar("T")


def meta(last_updated_at: str | None, version: str | None = None) -> Resource:
    """Return the element meta, but for the profile."""
    found: Resource = {} if version is None else {"versionId": version}
    if last_updated_at:
        found["lastUpdated"] = times.instant(last_updated_at)
    return found


def claiming(resource: Resource, profile: str | None) -> Resource:
    """Return a resource that claims a profile, or none."""
    stated = {**resource.get("meta", {}), **({"profile": [profile]} if profile else {})}
    if stated and tuple(islice(resource, len(_HEAD))) == _HEAD:
        return {**resource, "meta": stated}
    head = {name: resource[name] for name in ("resourceType", "id")}
    return {**head, **({"meta": stated} if stated else {}), **_without_meta(resource)}


_HEAD: Final = ("resourceType", "id", "meta")


def _without_meta(resource: Resource) -> Resource:
    return {name: one for name, one in resource.items() if name != "meta"}


def nowhere(reference: Resource) -> Resource | None:
    """Resolve nothing: a resource that is read again has no request around it."""
    return None


ENTERED_IN_ERROR_MARK: Final = (
    "availabilityStatus|entered-in-error^^http://hl7.org/fhir/document-reference-status"
)
"""Among the further codes of an object that is Deprecated because it was entered in error.

XDS has no such status; so SOAP consumers see it Deprecated, and FHIR keeps what it was told.
"""


def is_in_error(thing: MetadataObject) -> bool:
    """Tell whether an object was entered in error: it is Deprecated, and marked so."""
    if thing.availability_status != v.DEPRECATED:
        return False
    return ENTERED_IN_ERROR_MARK in (thing.attributes()["further_codes"].read(thing) or ())


def status_marks(resource: Resource) -> tuple[str, ...]:
    """Return what the status of a resource says and no availabilityStatus does."""
    return (ENTERED_IN_ERROR_MARK,) if resource.get("status") == f.ENTERED_IN_ERROR else ()


_LONGEST: Final = 256
"""Characters of a value of a Slot; what is longer rides along and is not searched."""


def further(
    concepts: Mapping[str, Collection[Resource]], thing: MetadataObject, systems: Systems
) -> tuple[str, ...]:
    """Return the codings beside an object's codes, by attributes, as they are searched.

    Each is ``attribute|code^^codingScheme``, with the TF's name of the attribute.
    """
    found: dict[str, None] = {}
    for name, elements in concepts.items():
        if sum([len(element.get("coding", ())) for element in elements]) <= 1:
            continue  # it is that of the code itself
        attribute = thing.attributes()[name]
        value = attribute.read(thing) or ()
        codes: Iterable[Code] = value if isinstance(value, tuple) else (value,)
        known = {_searched(coding(code, systems), systems) for code in codes}
        for one in (each for element in elements for each in element.get("coding", ())):
            if one.get("code") and one.get("system"):
                text = _searched(one, systems)
                if text not in known:
                    found[f"{attribute.tf_name}|{text}"] = None
    return tuple(text for text in found if len(text) <= _LONGEST)


def _searched(element: Resource, systems: Systems) -> str:
    return str(Code(element.get("code", ""), systems.scheme(element.get("system", ""))))


def further_identifiers(elements: Iterable[Resource]) -> tuple[str, ...]:
    """Return identifiers as they are searched: ``system|value``."""
    found = {f"{one.get('system', '')}|{one['value']}": None for one in elements if "value" in one}
    return tuple(text for text in found if len(text) <= _LONGEST)


def beside_its_own(
    elements: Sequence[Resource], own: Collection[str | None], unique_id: Callable[[Resource], str]
) -> list[Resource]:
    """Return the identifiers of a resource that are none of the object's own.

    ``unique_id`` reads an Identifier as uniqueId; ``own`` are uniqueId, entryUUID and logicalID.
    """
    found = []
    for one in elements:
        kind, is_told = kind_of(one)
        if is_told or not one.get("value"):
            continue
        if kind in (f.UNIQUE_ID, f.ENTRY_UUID):
            read = unique_id if kind == f.UNIQUE_ID else uuid_of
            with suppress(ValueError):
                if normal(read(one)) in own:
                    continue
        found.append(one)
    return found


def attempt(
    notes: IssueCollector, where: str, read: Callable[P, T], *args: P.args, **named: P.kwargs
) -> T | None:
    """Read a value; one that cannot be read is noted."""
    try:
        return read(*args, **named)
    except ValueError as reason:
        notes.error("value", str(reason), where)
        return None


def given(values: Mapping[str, object]) -> dict[str, object]:
    """Return the attributes that are there."""
    return {name: value for name, value in values.items() if value not in (None, ())}


def read_text(element: Resource, name: str) -> str | None:
    """Return a text; one of nothing but white space is none."""
    text: str = element.get(name) or ""
    return text if text.strip() else None


def read_time(notes: IssueCollector, element: Resource, name: str, where: str) -> str | None:
    """Return a time as DTM."""
    return attempt(notes, where, times.read, element, name)


def home_community(home: str | None) -> list[Resource]:
    """Return the extension for the homeCommunityId."""
    return [extension(mhd.HOME_COMMUNITY_ID, "valueOid", home)] if home else []


def read_home_community(resource: Resource, notes: IssueCollector) -> str | None:
    """Return the homeCommunityId."""
    for place, one in extensions(resource, mhd.HOME_COMMUNITY_ID):
        home = one.get("valueOid") or one.get("valueUri") or ""
        attempt(notes, f"extension[{place}]", check_oid_urn, home)
        return home or None
    return None


def read_uuid(elements: Sequence[Resource], kind: str, notes: IssueCollector) -> str | None:
    """Return the entryUUID or logicalID among identifiers."""
    check_single(elements, kind, notes)
    for place, one in of_kind(elements, kind):
        return attempt(notes, f"identifier[{place}].value", uuid_of, one)
    return None


def check_single(elements: Sequence[Resource], kind: str, notes: IssueCollector) -> None:
    """Refuse a second identifier that by its type is of a kind that stands once."""
    outright = [(place, one) for place, one in of_kind(elements, kind) if kind_of(one)[1]]
    for place, one in outright[1:]:
        if one.get("value") != outright[0][1].get("value"):
            notes.error("invariant", f"there is more than one {kind}", f"identifier[{place}]")


def uuid_texts(entry_uuid: str, logical_id: str | None) -> list[str]:
    """Return the JSON of each of ``uuids``."""
    found = [uuid_identifier_text(entry_uuid)]
    if logical_id and logical_id != entry_uuid:
        found.append(uuid_identifier_text(logical_id, f.LOGICAL_ID))
    return found


def uuids(entry_uuid: str, logical_id: str | None) -> list[Resource]:
    """Return the identifiers of an object itself; the logicalID of a first version says no more."""
    found = [uuid_identifier(entry_uuid)]
    if logical_id and logical_id != entry_uuid:
        found.append(uuid_identifier(logical_id, f.LOGICAL_ID))
    return found
