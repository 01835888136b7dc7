"""Resources of FHIR documents carried into a summary, with all that they refer to.

What a resource refers to stays together: references lead to the copies within the summary, or else
name by identifier what they led to. Identity, profiles and narrative are not carried as they are:
ids are new, profiles are claimed by nobody here, and markup is written anew.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from xds.content.forms.blocks import blocks
from xds.content.forms.fhir_bundle import BundleMaker, without_empty
from xds.content.forms.narratives import xhtml
from xds.content.reading.fhir.source import BundleEntry, FhirSource, part, parts, text
from xds.content.reading.model import XhtmlNarrative
from xds.fhir.r4 import structure
from xds.fhir.r4.resource import Resource
from xds.on_demand.forms import NotConvertible

_NOT_CARRIED: Final = frozenset(
    {"Binary", "Bundle", "Composition", "DocumentReference", "Media", "Observation"}
)
"""Documents themselves, files, and what a summary has as results."""
_DROPPED: Final = frozenset({"id", "meta", "text", "presentedForm", "implicitRules"})
_STATUSES: Final = frozenset({"generated", "extensions", "additional"})
_URIS: Final = "urn:ietf:rfc:3986"
_MOST_DEEP: Final = 20
"""Of resources that refer to one another in turn."""


@dataclass(slots=True)
class ResourceCarrier:
    """Carries the resources of one document."""

    made: BundleMaker
    source: FhirSource
    prefix: str
    """Of the paths of its resources in the summary."""
    origin: str
    """Of each resource, as meta.source: the entry of the document."""
    results: Mapping[str, str]
    """The paths in the summary of its Observations, by their places."""
    carried: dict[str, str] = field(default_factory=dict)
    """The paths of what was carried, by the places; empty where it cannot be."""

    def carry(self, entry: BundleEntry) -> Resource:
        """Add a resource and return a reference to it; empty where it is not as R4 has it."""
        path = self._path(entry, 0)
        return self.made.to(path) if path else {}

    def _path(self, entry: BundleEntry, deep: int) -> str:
        if entry.place in self.results:
            return self.results[entry.place]
        if entry.place in self.carried:
            return self.carried[entry.place]
        if entry.type in _NOT_CARRIED or deep > _MOST_DEEP or not _is_of_r4(entry.resource):
            self.carried[entry.place] = ""
            return ""
        if entry.type == "Patient" and self._is_subject(entry):
            self.carried[entry.place] = "patient"
            return "patient"
        path = f"{self.prefix}/{entry.place}"
        self.carried[entry.place] = path  # before it is gone through: some refer to one another
        elements = {
            name: self._value(value, entry, deep)
            for name, value in entry.resource.items()
            if name not in _DROPPED and name != "resourceType"
        }
        self.made.add(entry.type, path, meta=self._meta(entry), text=_narrative(entry), **elements)
        return path

    def _is_subject(self, entry: BundleEntry) -> bool:
        composition = self.source.composition
        found = self.source.follow(part(composition.resource, "subject"), composition)
        return found is not None and found.place == entry.place

    def _meta(self, entry: BundleEntry) -> Resource:
        labels = parts(part(entry.resource, "meta"), "security")
        return without_empty({"source": self.origin, "security": labels})

    def _value(self, value: Any, entry: BundleEntry, deep: int) -> Any:
        if isinstance(value, dict):
            if isinstance(value.get("reference"), str):
                return self._reference(value, entry, deep)
            return {name: self._value(one, entry, deep) for name, one in value.items()}
        if isinstance(value, list):
            return [self._value(one, entry, deep) for one in value]
        return value

    def _reference(self, reference: Resource, entry: BundleEntry, deep: int) -> Resource:
        url = text(reference, "reference")
        if url.startswith("#"):
            return reference
        found = self.source.follow(reference, entry)
        path = self._path(found, deep + 1) if found is not None else ""
        kept = {name: one for name, one in reference.items() if name != "reference"}
        if path:
            return {**kept, **self.made.to(path, text(reference, "display"))}
        if ":" in url:
            kept.setdefault("identifier", {"system": _URIS, "value": url})
        elif not kept.keys() & {"identifier", "display"}:
            kept["display"] = "not in this summary"
        return kept


def _is_of_r4(resource: Resource) -> bool:
    return all(one.severity == "warning" for one in structure.problems(resource))


def _narrative(entry: BundleEntry) -> Resource:
    """Return the narrative of a resource, its markup written anew."""
    told = part(entry.resource, "text")
    div, status = text(told, "div"), text(told, "status")
    if not div or status not in _STATUSES:
        return {}
    try:
        return {"status": status, "div": xhtml(blocks(XhtmlNarrative(div=div)))}
    except NotConvertible:
        return {}
