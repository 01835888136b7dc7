"""The Bundle of ITI-65 taken apart: which entry is what, and may it be (MHD 2:3.65.4.1.2)."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Final

from xds.fhir import vocabulary as v
from xds.fhir.r4.issues import IssueCollector
from xds.fhir.r4.resource import Resource
from xds.fhir.references import Entry
from xds.mhd import vocabulary as mhd
from xds.mhd.provide.document_manifest import as_list


class EntryKind(StrEnum):
    """What an entry is for."""

    SUBMISSION_SET = "SubmissionSet"
    DOCUMENT = "DocumentReference"
    FOLDER = "Folder"
    PATCH = "FHIRPath Patch"
    BINARY = "Binary"
    FHIR_DOCUMENT = "FHIR document"
    PATIENT = "Patient"
    OTHER = "resource that others refer to"


_METHODS: Final[Mapping[str, frozenset[str]]] = {
    EntryKind.SUBMISSION_SET: frozenset({"POST"}),
    EntryKind.DOCUMENT: frozenset({"POST"}),
    EntryKind.FOLDER: frozenset({"POST", "PUT"}),
    EntryKind.PATCH: frozenset({"PATCH"}),
    EntryKind.BINARY: frozenset({"POST"}),
    EntryKind.FHIR_DOCUMENT: frozenset({"POST"}),
    EntryKind.PATIENT: frozenset({"GET", "POST", "PUT"}),
    EntryKind.OTHER: frozenset({"POST", "PUT"}),
}
_BY_TYPE: Final[Mapping[str, EntryKind]] = {
    "DocumentManifest": EntryKind.SUBMISSION_SET,
    "DocumentReference": EntryKind.DOCUMENT,
    "Parameters": EntryKind.PATCH,
    "Binary": EntryKind.BINARY,
    "Bundle": EntryKind.FHIR_DOCUMENT,
    "Patient": EntryKind.PATIENT,
    "Practitioner": EntryKind.OTHER,
    "PractitionerRole": EntryKind.OTHER,
    "Organization": EntryKind.OTHER,
    "Device": EntryKind.OTHER,
    "RelatedPerson": EntryKind.OTHER,
    "Group": EntryKind.OTHER,
    "Location": EntryKind.OTHER,
    "Encounter": EntryKind.OTHER,
}
_LISTS: Final[Mapping[str, EntryKind]] = {
    mhd.SUBMISSION_SET: EntryKind.SUBMISSION_SET,
    mhd.FOLDER: EntryKind.FOLDER,
}

_MINIMAL: Final = "Minimal"
_PROFILES: Final[Mapping[str, str]] = {
    mhd.MINIMAL_PROVIDE_BUNDLE: _MINIMAL,
    mhd.COMPREHENSIVE_PROVIDE_BUNDLE: "Comprehensive",
    mhd.UNCONTAINED_PROVIDE_BUNDLE: "Comprehensive",
    "3.xProvide_Minimal_DocumentBundle": _MINIMAL,
    "3.xProvide_Comprehensive_DocumentBundle": "Comprehensive",
}


@dataclass(frozen=True)
class SubmittedEntries:
    """The resources of one request, in their order."""

    entries: tuple[Entry, ...]
    is_minimal: bool
    """Whether it claims Minimal Metadata and no more."""

    @classmethod
    def of_document_reference(cls, resource: Resource) -> "SubmittedEntries":
        """Return a DocumentReference that comes without a Bundle (ITI-105)."""
        path = "DocumentReference"
        entry = Entry(
            index=0,
            place=path,
            path=path,
            kind=EntryKind.DOCUMENT,
            method="POST",
            url=path,
            full_url="",
            resource=resource,
            resource_type=path,
        )
        return cls((entry,), is_minimal=True)

    @classmethod
    def of_bundle(
        cls, bundle: Resource, *, base: str, problems: IssueCollector
    ) -> "SubmittedEntries":
        """Take a Bundle (ITI-65) apart; what is wrong with it goes to ``problems``."""
        if bundle.get("type") != "transaction":
            problems.error("value", "Bundle.type must be transaction", "Bundle.type")
        entries = tuple(_entries(bundle, base, problems))
        found = cls(entries, _is_minimal(bundle, problems))
        sets = found.of(EntryKind.SUBMISSION_SET)
        if not sets:
            problems.error("required", "there is no entry with the SubmissionSet List", "Bundle")
        for extra in sets[1:]:
            problems.error("invalid", "a Bundle has exactly one SubmissionSet", extra.path)
        return found

    def of(self, *kinds: EntryKind) -> Sequence[Entry]:
        """Return the entries of these kinds."""
        return [entry for entry in self.entries if entry.kind in kinds]

    @cached_property
    def submission_set(self) -> Entry:
        """The entry with the SubmissionSet."""
        return self.of(EntryKind.SUBMISSION_SET)[0]


def canonical(profile: str) -> str:
    """Return a profile as this version of MHD names it, whatever version the client is of."""
    name = profile.partition("|")[0]
    for start, now in mhd.BASES_OF_OTHER_VERSIONS.items():
        if name.startswith(start):
            return now + name.removeprefix(start)
    return name


def _is_minimal(bundle: Resource, problems: IssueCollector) -> bool:
    """Read the profiles; the fullest of those claimed counts (MHD 2:3.65.4.1.2.1)."""
    claimed = (bundle.get("meta") or {}).get("profile") or ()
    known = {_PROFILES[name] for profile in claimed if (name := canonical(profile)) in _PROFILES}
    if not known:
        problems.error(
            "value" if claimed else "required",
            "meta.profile must name a profile of MHD's Provide Document Bundle, such as "
            + mhd.COMPREHENSIVE_PROVIDE_BUNDLE,
            "Bundle.meta.profile",
        )
    return known == {_MINIMAL}


def _entries(bundle: Resource, base: str, problems: IssueCollector) -> Iterator[Entry]:
    given = bundle.get("entry") or ()
    count = Counter(full_url for one in given if (full_url := _full_url(one)))
    for index, one in enumerate(given):
        if count[_full_url(one)] > 1:
            place = f"Bundle.entry[{index}].fullUrl"
            problems.error("duplicate", "fullUrl stands on several entries", place)
        if entry := _entry(index, one, base, problems):
            yield entry


def _full_url(entry: Resource) -> str:
    """Return the fullUrl in the form in which it compares: UUIDs know no case."""
    full_url: str = entry.get("fullUrl") or ""
    return full_url.lower() if full_url[:9].lower() == v.UUID_URN else full_url.rstrip("/")


def _entry(index: int, one: Resource, base: str, problems: IssueCollector) -> Entry | None:
    place = f"Bundle.entry[{index}]"
    request, resource = one.get("request") or {}, one.get("resource") or {}
    method, url = request.get("method") or "", _relative(request.get("url") or "", base)
    if method == "POST" and url[: len(_URN)].lower() == _URN:
        told = "request.url of a POST is the resource type: the urn is passed over"
        problems.warn(told, f"{place}.request.url")
        url = resource.get("resourceType") or ""
    kind = _kind(resource, url, method)
    if kind is None:
        problems.error(
            "not-supported",
            f"an entry of this kind ({resource.get('resourceType') or 'without resource'}) has no "
            "place in a Provide Document Bundle",
            f"{place}.resource" if resource else place,
        )
        return None
    resource_type = resource.get("resourceType") or "Patient"
    entry = Entry(
        index=index,
        place=place,
        path=f"{place}.resource",
        kind=kind,
        method=method,
        url=url,
        full_url=_full_url(one),
        resource=as_list(resource) if resource_type == "DocumentManifest" else resource,
        resource_type=resource_type,
        is_context=kind in (EntryKind.PATIENT, EntryKind.OTHER),
    )
    _check_request(entry, request, problems)
    return entry


_URN: Final = "urn:"


def _relative(url: str, base: str) -> str:
    return url.removeprefix(base).strip("/")


def _kind(resource: Resource, url: str, method: str) -> EntryKind | None:
    resource_type = resource.get("resourceType")
    if resource_type == "List":
        return _LISTS.get(list_type(resource))
    if resource_type == "Bundle" and resource.get("type") != "document":
        return None
    if resource_type is None:
        asks_for_patient = method == "GET" and url.partition("?")[0].partition("/")[0] == "Patient"
        return EntryKind.PATIENT if asks_for_patient else None
    return _BY_TYPE.get(resource_type)


def list_type(resource: Resource) -> str:
    """Return ``submissionset`` or ``folder`` as List.code says, else nothing."""
    for coding in (resource.get("code") or {}).get("coding") or ():
        known = (coding.get("system") or mhd.LIST_TYPES).rpartition("/")[2] == "MHDlistTypes"
        if known and coding.get("code") in _LISTS:
            code: str = coding["code"]
            return code
    return ""


def _check_request(entry: Entry, request: Resource, problems: IssueCollector) -> None:
    allowed = _METHODS[entry.kind]
    if entry.method not in allowed:
        problems.error(
            "not-supported" if entry.method else "required",
            f"request.method of a {entry.kind} must be {' or '.join(sorted(allowed))}",
            f"{entry.place}.request.method",
        )
        return
    if not _fits(entry):
        problems.error(
            "value",
            f"request.url does not fit a {entry.method} of a {entry.kind}",
            f"{entry.place}.request.url",
        )
    if request.get("ifNoneExist") and entry.kind is not EntryKind.PATIENT:
        problems.error(
            "not-supported",
            "a conditional create is supported for Patients only",
            f"{entry.place}.request.ifNoneExist",
        )


def _fits(entry: Entry) -> bool:
    """Tell whether the URL is one that the method is used at (FHIR R4 http).

    MHD's own example has a Folder PUT at ``List``, without id.
    """
    about = "DocumentReference" if entry.kind is EntryKind.PATCH else entry.resource_type
    if entry.method == "POST":
        return entry.url == about
    return entry.type == about and (entry.url != about or entry.kind is EntryKind.FOLDER)
