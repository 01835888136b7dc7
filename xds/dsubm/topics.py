"""TOPICS: what one can subscribe to, a row for each SubscriptionTopic of DSUBm (2:3.110.4.1.2.1).

The table decides which events a topic is about and which filters it takes; the Basic resources
that ITI-114 answers with are made of it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from xds.dsubm import vocabulary as v
from xds.fhir.r4.resource import Resource
from xds.fhir.search.parameters import Kind
from xds.metadata.objects import DocumentEntry, Folder, SubmissionSet
from xds.mhd.vocabulary import (
    FOLDER,
    LIST_TYPES,
    MINIMAL_DOCUMENT_REFERENCE,
    MINIMAL_FOLDER,
    MINIMAL_SUBMISSION_SET,
    SUBMISSION_SET,
)
from xds.registry.events import (
    APPROVED,
    CONTENT_REMOVED,
    CONTENT_UPDATED,
    DEPRECATED,
    REGISTERED,
    REMOVED,
    UPDATED,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """One SubscriptionTopic."""

    id: str
    """That of the Basic resource, and the last part of the canonical URL."""
    title: str
    kind: Kind
    changes: frozenset[str]
    """The kinds of events that it is about (:mod:`xds.registry.events`)."""
    filters: tuple[str, ...]
    """The names of the filter parameters."""
    single: frozenset[str]
    """Those that take one value."""
    of_patient: bool
    """Whether a filter has to name the patient."""
    profile: str
    """The profile of Subscriptions to it, the last part of its canonical URL."""

    @property
    def url(self) -> str:
        """The canonical URL."""
        return v.TOPIC + self.id

    @property
    def urls(self) -> tuple[str, str]:
        """The canonical URL as the resources of DSUBm have it, and as its text prints it."""
        return self.url, f"{v.DSUBM}/{self.id}"

    @property
    def resource_type(self) -> str:
        """The type of the resources that it is about."""
        return "DocumentReference" if self.kind is DocumentEntry else "List"


_PATIENT: Final = ("patient", "patient.identifier")
_STATUS: Final = "status"
_OF_DOCUMENTS: Final = ("category", "event", "facility", "format", "security-label", "setting")
_DOCUMENTS_OF_PATIENT: Final = (
    *("author.given", "author.family"),
    *(*_OF_DOCUMENTS, _STATUS, "type", *_PATIENT),
)
_DOCUMENTS: Final = ("author", *_OF_DOCUMENTS, _STATUS, "type")
_SETS: Final = ("code", "source", "sourceId", "intendedRecipient")
_FOLDERS: Final = ("code", *_PATIENT, "identifier", "designationType", _STATUS)
_MULTIPLE: Final = frozenset(
    {"source", "sourceId", "intendedRecipient", "identifier", "designationType"}
)
"""The filters of Lists that take several values (2:3.110.4.1.2.1)."""

_CREATED: Final = frozenset({REGISTERED})
_MINIMAL: Final = _CREATED | {DEPRECATED, APPROVED, REMOVED}
_ALL: Final = _MINIMAL | {UPDATED}
_FOLDER_BASIC: Final = _CREATED | {CONTENT_UPDATED}
_FOLDER_MINIMAL: Final = _FOLDER_BASIC | {CONTENT_REMOVED, DEPRECATED, APPROVED}
_FOLDER_UPDATE: Final = _FOLDER_MINIMAL | {UPDATED}
_FOLDER_ALL: Final = _FOLDER_UPDATE | {REMOVED}


def _documents(whose: str, option: str, changes: frozenset[str], *, of_patient: bool) -> Topic:
    stem, suffix = ("DocReference", f"-{option}") if option else ("DocumentReference", "")
    return Topic(
        id=f"DSUBm-SubscriptionTopic-{stem}-{whose}{suffix}",
        title=f"DocumentReferences, {_WHOSE[whose]}{_OPTIONS[option]}",
        kind=DocumentEntry,
        changes=changes,
        filters=_DOCUMENTS_OF_PATIENT if of_patient else _DOCUMENTS,
        single=frozenset({_STATUS, *_PATIENT}),
        of_patient=of_patient,
        profile=f"DSUBm-DocumentReference-{whose}-Subscription{suffix}",
    )


_WHOSE: Final = {"PatientDependent": "of one patient", "MultiPatient": "of all patients"}
_OPTIONS: Final = {
    "": ": created",
    "MinUpdate": ": created, deleted, or of another status",
    "AllEvents": ": created, updated or deleted",
}


def _submission_sets(whose: str, *, of_patient: bool) -> Topic:
    return Topic(
        id=f"DSUBm-SubscriptionTopic-SubmissionSet-{whose}",
        title=f"SubmissionSets, {_WHOSE[whose]}: created",
        kind=SubmissionSet,
        changes=_CREATED,
        filters=(*_SETS, *_PATIENT) if of_patient else _SETS,
        single=frozenset({"code", *_PATIENT}),
        of_patient=of_patient,
        profile=f"DSUBm-SubmissionSet-{whose}-Subscription",
    )


def _folders(name: str, profile: str, told: str, changes: frozenset[str]) -> Topic:
    return Topic(
        id=f"DSUBm-SubscriptionTopic-{name}",
        title=f"Folders of one patient: {told}",
        kind=Folder,
        changes=changes,
        filters=_FOLDERS,
        single=frozenset({*_FOLDERS} - _MULTIPLE),
        of_patient=True,
        profile=profile,
    )


_PATIENT_DEPENDENT: Final = "PatientDependent"
_MULTI_PATIENT: Final = "MultiPatient"

TOPICS: Final = (
    *(
        _documents(whose, option, changes, of_patient=whose == _PATIENT_DEPENDENT)
        for option, changes in (("", _CREATED), ("MinUpdate", _MINIMAL), ("AllEvents", _ALL))
        for whose in (_PATIENT_DEPENDENT, _MULTI_PATIENT)
    ),
    _submission_sets(_PATIENT_DEPENDENT, of_patient=True),
    _submission_sets(_MULTI_PATIENT, of_patient=False),
    _folders(
        "Basic-Folder-Subscription",
        "DSUBm-Basic-Folder-Subscription",
        "created, or given a document",
        _FOLDER_BASIC,
    ),
    _folders(
        "Folder-Subscription-MinUpdateOpt",
        "DSUBm-Folder-Subscription-MinUpdateOpt",
        "created, of other content, or of another status",
        _FOLDER_MINIMAL,
    ),
    _folders(
        "Folder-Subscription-UpdateOpt",
        "DSUBm-Folder-Subscription-UpdateOpt",
        "created or updated",
        _FOLDER_UPDATE,
    ),
    _folders(
        "Folder-Subscription-for-Full-Events",
        "DSUBm-Folder-Subscription-for-Full-Events",
        "created, updated or deleted",
        _FOLDER_ALL,
    ),
)

BY_ID: Final[Mapping[str, Topic]] = {one.id: one for one in TOPICS}


_BY_URL: Final[Mapping[str, Topic]] = {url: one for one in TOPICS for url in one.urls}


def topic_of(canonical: str) -> Topic | None:
    """Return the topic of a canonical URL, in either of its forms and of any version."""
    return _BY_URL.get(canonical.partition("|")[0])


def resource_profile(topic: Topic) -> str:
    """Return the profile of the resources that a topic is about."""
    return _PROFILES[topic.kind]


# --- as a resource -------------------------------------------------------------------------------

_PROFILES: Final[Mapping[Kind, str]] = {
    DocumentEntry: MINIMAL_DOCUMENT_REFERENCE,
    SubmissionSet: MINIMAL_SUBMISSION_SET,
    Folder: MINIMAL_FOLDER,
}
_CODES: Final[Mapping[Kind, str]] = {SubmissionSet: SUBMISSION_SET, Folder: FOLDER}
_ITEMS: Final = ("(%previous.entry.item).count()", "(%current.entry.item).count()")
_CONDITIONS: Final = {
    CONTENT_UPDATED: f"({_ITEMS[0]} < {_ITEMS[1]})",
    CONTENT_REMOVED: f"({_ITEMS[0]} > {_ITEMS[1]})",
    DEPRECATED: "(%previous.status != %current.status)",
}
"""What an update has to be, in FHIRPath, where a topic is not about all updates."""


def basic(topic: Topic) -> Resource:
    """Return a topic as the Basic resource that R4 carries it in (HL7, R5 extensions)."""
    return {
        "resourceType": "Basic",
        "id": topic.id,
        "extension": [
            _extension("url", "Uri", topic.url),
            _extension("title", "String", topic.title),
            *(_trigger(topic, *one) for one in _triggers(topic)),
            *(_filter(topic, name) for name in topic.filters),
            _complex(
                "notificationShape",
                ("resource", "Uri", resource_profile(topic)),
                ("include", "String", f"{topic.resource_type}:subject"),
            ),
        ],
        "modifierExtension": [_extension("status", "Code", "active")],
        "code": {"coding": [{"system": v.RESOURCE_TYPES, "code": v.SUBSCRIPTION_TOPIC}]},
    }


def _triggers(topic: Topic) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield interactions of one trigger with the FHIRPath that they have to meet."""
    changes = topic.changes
    whole = ["create"] + (["update"] if UPDATED in changes else [])
    whole += ["delete"] if REMOVED in changes else []
    code = _CODES.get(topic.kind)
    is_kind = f"(%current.code.coding.where(system='{LIST_TYPES}').code='{code}')" if code else ""
    yield tuple(whole), is_kind
    if UPDATED not in changes:
        some = [text for change, text in _CONDITIONS.items() if change in changes]
        if some:
            either = some[0] if len(some) == 1 else f"({' or '.join(some)})"
            yield ("update",), f"{is_kind} and {either}" if is_kind else either


def _trigger(topic: Topic, interactions: tuple[str, ...], criterion: str) -> Resource:
    parts = [("resource", "Uri", resource_profile(topic))]
    parts += [("supportedInteraction", "Code", one) for one in interactions]
    if criterion:
        parts.append(("fhirPathCriteria", "String", criterion))
    return _complex("resourceTrigger", *parts)


def _filter(topic: Topic, name: str) -> Resource:
    return _complex(
        "canFilterBy",
        ("resource", "Uri", resource_profile(topic)),
        ("filterParameter", "String", name),
    )


def _extension(name: str, type_: str, value: str) -> Resource:
    return {"url": f"{v.R5_TOPIC}{name}", f"value{type_}": value}


def _complex(name: str, *parts: tuple[str, str, str]) -> Resource:
    inner = [{"url": part, f"value{type_}": value} for part, type_, value in parts]
    return {"url": f"{v.R5_TOPIC}{name}", "extension": inner}
