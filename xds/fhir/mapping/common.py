"""What documents, SubmissionSets and Folders have in common as resources."""

from collections.abc import Callable, Mapping, Sequence
from typing import ParamSpec, TypeVar

from xds.fhir import vocabulary as f
from xds.fhir.exchange import Resource
from xds.fhir.mapping import times
from xds.fhir.mapping.context import Notes
from xds.fhir.mapping.exact import extension, extensions
from xds.fhir.mapping.identifiers import kind_of, of_kind, uuid_identifier, uuid_of
from xds.metadata.datatypes import check_oid_urn

P = ParamSpec("P")
T = TypeVar("T")


def meta(profile: str, last_updated_at: str | None, version: str | None = None) -> Resource:
    """Return the element meta."""
    found: Resource = {} if version is None else {"versionId": version}
    if last_updated_at:
        found["lastUpdated"] = times.instant(last_updated_at)
    found["profile"] = [profile]
    return found


def attempt(
    notes: Notes, where: str, read: Callable[P, T], *args: P.args, **named: P.kwargs
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


def read_time(notes: Notes, element: Resource, name: str, where: str) -> str | None:
    """Return a time as DTM."""
    return attempt(notes, where, times.read, element, name)


def home_community(home: str | None) -> list[Resource]:
    """Return the extension for the homeCommunityId."""
    return [extension(f.HOME_COMMUNITY_ID, "valueOid", home)] if home else []


def read_home_community(resource: Resource, notes: Notes) -> str | None:
    """Return the homeCommunityId."""
    for place, one in extensions(resource, f.HOME_COMMUNITY_ID):
        home = one.get("valueOid") or one.get("valueUri") or ""
        attempt(notes, f"extension[{place}]", check_oid_urn, home)
        return home or None
    return None


def read_uuid(elements: Sequence[Resource], kind: str, notes: Notes) -> str | None:
    """Return the entryUUID or logicalID among identifiers."""
    check_single(elements, kind, notes)
    for place, one in of_kind(elements, kind):
        return attempt(notes, f"identifier[{place}].value", uuid_of, one)
    return None


def check_single(elements: Sequence[Resource], kind: str, notes: Notes) -> None:
    """Refuse a second identifier that by its type is of a kind that stands once."""
    outright = [(place, one) for place, one in of_kind(elements, kind) if kind_of(one)[1]]
    for place, one in outright[1:]:
        if one.get("value") != outright[0][1].get("value"):
            notes.error("invariant", f"there is more than one {kind}", f"identifier[{place}]")


def uuids(entry_uuid: str, logical_id: str | None) -> list[Resource]:
    """Return the identifiers of an object itself; the logicalID of a first version says no more."""
    found = [uuid_identifier(entry_uuid)]
    if logical_id and logical_id != entry_uuid:
        found.append(uuid_identifier(logical_id, f.LOGICAL_ID))
    return found
