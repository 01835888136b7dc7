"""What the profiles of MHD 4.2.4 demand of a resource, read from their snapshots.

Checked are the cardinalities of elements and slices, patterns, and that a reference is contained
where it must be. Empty where the reference data is absent: see :data:`present`.
"""

import json
from collections.abc import Iterator
from functools import cache
from typing import Any, Final

from tests.reference import FHIR, needs

_FOLDER: Final = FHIR / "profiles"

present = needs(_FOLDER)

# how a slice is told by what its type's profile fixes
_IDENTIFIERS: Final = {"entryUUID": "entryUUID", "uniqueId": "uniqueId"}
_EXTENSIONS: Final = {
    "homeCommunityId": "ihe-HomeCommunityId",
    "designationType": "ihe-designationType",
    "sourceId": "ihe-sourceId",
    "intendedRecipient": "ihe-intendedRecipient",
    "authorOrg": "ihe-authorOrg",
}


def violations(resource: dict[str, Any]) -> list[str]:
    """Return what a resource breaks of the profiles that it claims in meta.profile."""
    found: list[str] = []
    for url in resource["meta"]["profile"]:
        for element in _elements(url.rsplit("/", 1)[1]):
            found.extend(_breaches(resource, element))
    return found


@cache
def _elements(profile: str) -> tuple[dict[str, Any], ...]:
    path = _FOLDER / f"StructureDefinition-{profile}.json"
    return tuple(json.loads(path.read_text())["snapshot"]["element"][1:])


def _breaches(resource: dict[str, Any], element: dict[str, Any]) -> Iterator[str]:
    *parents, last = element["id"].split(".")[1:]
    if any(":" in parent for parent in parents):
        return
    most = float("inf") if element["max"] == "*" else int(element["max"])
    for holder in _at(resource, parents):
        values = _of_slice(_listed(holder.get(last.partition(":")[0])), last.partition(":")[2])
        if not element["min"] <= len(values) <= most:
            yield f"{element['id']}: {len(values)} of {element['min']}..{element['max']}"
        for value in values:
            yield from _wrong(value, element)


def _wrong(value: Any, element: dict[str, Any]) -> Iterator[str]:
    wanted = [v for k, v in element.items() if k.startswith(("pattern", "fixed"))]
    if wanted and not _contains(value, wanted[0]):
        yield f"{element['id']} is not {wanted[0]}"
    for kind in element.get("type", ()):
        if kind.get("aggregation") == ["contained"] and isinstance(value, dict):
            literal = value.get("reference", "#")
            if not literal.startswith("#"):
                yield f"{element['id']} is not contained"


def _at(holder: Any, names: list[str]) -> Iterator[dict[str, Any]]:
    if not names:
        yield holder
        return
    for one in _listed(holder.get(names[0])):
        yield from _at(one, names[1:])


def _listed(value: Any) -> list[Any]:
    return [] if value is None else value if isinstance(value, list) else [value]


def _of_slice(values: list[Any], name: str) -> list[Any]:
    if name in _IDENTIFIERS:
        codes = ({c["code"] for c in _codings(one)} for one in values)
        return [one for one, its in zip(values, codes, strict=True) if name in its]
    if name:
        return [one for one in values if one["url"].endswith(f"/{_EXTENSIONS[name]}")]
    return values


def _codings(identifier: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = identifier.get("type", {}).get("coding", [])
    return found


def _contains(value: Any, pattern: Any) -> bool:
    if isinstance(pattern, dict):
        return all(k in value and _contains(value[k], v) for k, v in pattern.items())
    if isinstance(pattern, list):
        return all(any(_contains(one, each) for one in value) for each in pattern)
    return bool(value == pattern)
