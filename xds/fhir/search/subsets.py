"""Parts of a resource: ``_summary`` and ``_elements`` (FHIR R4 search, 3.1.1.5.8, 3.1.1.5.9)."""

from collections.abc import Iterable, Mapping
from typing import Final

from xds.fhir.r4.contained import referred
from xds.fhir.r4.resource import Resource
from xds.fhir.search.paging import ResultParameters

_SUBSETTED: Final = {
    "system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue",
    "code": "SUBSETTED",
    "display": "subsetted",
}
_ALWAYS: Final = frozenset({"resourceType", "id", "meta", "implicitRules"})
_MANDATORY: Final[Mapping[str, frozenset[str]]] = {
    "DocumentReference": frozenset({"status", "content"}),
    "List": frozenset({"status", "mode"}),
    "Subscription": frozenset({"status", "reason", "criteria", "_criteria", "channel"}),
    "Basic": frozenset({"modifierExtension", "code"}),
}
"""What R4 requires of a resource, so that a part of it is still one."""
_SUMMARY: Final[Mapping[str, frozenset[str]]] = {
    "DocumentReference": frozenset(
        {
            "masterIdentifier",
            "identifier",
            "status",
            "docStatus",
            "type",
            "category",
            "subject",
            "date",
            "author",
            "relatesTo",
            "description",
            "securityLabel",
            "content",
            "context",
        }
    ),
    "List": frozenset({"status", "mode", "title", "code", "subject", "date", "source"}),
    "Patient": frozenset({"identifier", "active", "link"}),
    "Subscription": frozenset(
        {"status", "contact", "end", "reason", "criteria", "_criteria", "error", "channel"}
    ),
    "Basic": frozenset({"modifierExtension", "code"}),
}
"""What R4 marks as summary; of ``context`` that is the period alone."""


def subset(resource: Resource, wanted: ResultParameters) -> Resource:
    """Return what is wanted of a resource, marked where that is not all."""
    kind = resource["resourceType"]
    mandatory = _MANDATORY.get(kind, frozenset())
    if wanted.elements:
        return _marked(resource, wanted.elements | mandatory)
    if wanted.summary == "true":
        return _marked(_with_period_only(resource), _SUMMARY[kind])
    if wanted.summary == "text":
        return _marked(resource, mandatory | {"text"})
    if wanted.summary == "data" and "text" in resource:
        return _marked(resource, frozenset(resource) - {"text"})
    return resource


def _marked(resource: Resource, names: frozenset[str]) -> Resource:
    wanted = names | _ALWAYS
    # beside a primitive element, under its name with an underscore, JSON has its extensions
    found = {name: value for name, value in resource.items() if name.lstrip("_") in wanted}
    if "contained" not in wanted:
        found = _with_contained(found, resource.get("contained", ()))
    # a part does not follow the profile that the whole does
    meta = {name: value for name, value in found.get("meta", {}).items() if name != "profile"}
    return {**found, "meta": {**meta, "tag": [*meta.get("tag", ()), _SUBSETTED]}}


def _with_period_only(resource: Resource) -> Resource:
    context = {name: one for name, one in resource.get("context", {}).items() if name == "period"}
    others = {name: one for name, one in resource.items() if name != "context"}
    return {**others, "context": context} if context else others


def _with_contained(found: Resource, contained: Iterable[Resource]) -> Resource:
    """Keep of the contained resources those that what is kept refers to."""
    kept = referred(found, {one["id"]: one for one in contained})
    return {**found, "contained": kept} if kept else found
