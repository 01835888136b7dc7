"""DocumentManifest, which MHD 3.x had where MHD 4 has the SubmissionSet List."""

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from xds.fhir import vocabulary as v
from xds.fhir.r4.outcome import Issue
from xds.fhir.r4.resource import Resource
from xds.mhd import vocabulary as mhd

_COPIED: Final = ("id", "contained", "status", "subject")
_TELLING: Final = (
    (re.compile(r"\.date\b"), ".created"),
    (re.compile(r"\.title\b"), ".description"),
    (re.compile(r"\.source\b"), ".author[0]"),
    (re.compile(r"\.entry\[(\d+)\](?:\.item)?"), r".content[\1]"),
    (re.compile(r"\.extension\b.*"), ""),
)
"""What an element of the List was in the DocumentManifest; extensions were several elements."""


def as_list(manifest: Resource) -> Resource:
    """Return the SubmissionSet List that says what a DocumentManifest says (MHD 3.2 4.5.1.2)."""
    found: Resource = {"resourceType": "List", "mode": "working"}
    found |= {name: manifest[name] for name in _COPIED if name in manifest}
    found["code"] = {"coding": [{"system": mhd.LIST_TYPES, "code": mhd.SUBMISSION_SET}]}
    if "created" in manifest:
        found["date"] = manifest["created"]
    if "description" in manifest:
        found["title"] = manifest["description"]
    if authors := manifest.get("author"):
        found["source"] = authors[0]
    found["identifier"] = _identifiers(manifest)
    found["extension"] = list(_extensions(manifest))
    found["entry"] = [{"item": item} for item in manifest.get("content") or ()]
    return {name: value for name, value in found.items() if value}


def _identifiers(manifest: Resource) -> list[Resource]:
    found = list(manifest.get("identifier") or ())
    if master := manifest.get("masterIdentifier"):
        coding = {"system": v.IDENTIFIER_TYPES, "code": v.UNIQUE_ID}
        found.append({**master, "type": {"coding": [coding]}})
    return found


def _extensions(manifest: Resource) -> Iterable[Resource]:
    if "type" in manifest:
        yield {"url": mhd.DESIGNATION_TYPE, "valueCodeableConcept": manifest["type"]}
    if source := manifest.get("source"):
        yield {"url": mhd.SOURCE_ID, "valueIdentifier": {"value": source}}
    for recipient in manifest.get("recipient") or ():
        yield {"url": mhd.INTENDED_RECIPIENT, "valueReference": recipient}
    for author in (manifest.get("author") or ())[1:]:
        yield {"url": mhd.OWN_AUTHOR, "valueReference": author}


def retold(issues: Iterable[Issue], path: str) -> list[Issue]:
    """Return issues of the List at ``path`` with the elements of the DocumentManifest it was."""
    return [replace(issue, expression=tuple(_retold(issue, path))) for issue in issues]


def _retold(issue: Issue, path: str) -> Iterable[str]:
    for expression in issue.expression:
        within = expression.removeprefix(path)
        if within != expression:
            for element, original in _TELLING:
                within = element.sub(original, within, count=1)
            expression = path + within
        yield expression
