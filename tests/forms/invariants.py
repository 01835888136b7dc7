"""Invariants of FHIR R4 and demands of IPS 2.0 on single resources, as checks of ours.

They hold for what is made here. Resources of FHIR documents are carried as they are, so what their
maker broke stays so.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

Resource = dict[str, Any]
_ENDED: Final = {"inactive", "remission", "resolved"}
_DEMANDED: Final[Mapping[str, tuple[str, ...]]] = {
    "AllergyIntolerance": ("code", "patient"),
    "Condition": ("code", "subject"),
    "DeviceUseStatement": ("status", "subject", "device", "timing"),
    "Immunization": ("status", "vaccineCode", "patient", "occurrence"),
    "MedicationStatement": ("status", "medication", "subject", "effective"),
    "Observation": ("status", "code", "subject"),
    "Procedure": ("status", "code", "subject", "performed"),
}
"""Elements, or choices of types, that R4 or the profile of IPS has at least once."""


def unlawful(bundle: Resource) -> list[str]:
    """Return which invariants the resources of a document break."""
    found = []
    for entry in bundle["entry"]:
        resource = entry["resource"]
        kind = resource["resourceType"]
        told = [*_demanded(resource, kind), *_anywhere(resource)]
        if kind in _RULES:
            told += _RULES[kind](resource)
        found += [f"{kind}: {one}" for one in told]
    return found


def _demanded(resource: Resource, kind: str) -> Iterator[str]:
    for name in _DEMANDED.get(kind, ()):
        if not any(key.lstrip("_").startswith(name) for key in resource):
            yield f"{name} is demanded"


def _code(resource: Resource, name: str) -> str:
    return "".join(one.get("code", "") for one in resource.get(name, {}).get("coding", ()))


def _condition(resource: Resource) -> Iterator[str]:
    clinical = _code(resource, "clinicalStatus")
    verified = _code(resource, "verificationStatus")
    if resource.get("category") and not clinical and verified != "entered-in-error":
        yield "con-3: a problem has a clinicalStatus"
    if any(key.startswith("abatement") for key in resource) and clinical not in _ENDED:
        yield "con-4: what is abated is not active"
    if clinical and verified == "entered-in-error":
        yield "con-5"


def _allergy(resource: Resource) -> Iterator[str]:
    in_error = _code(resource, "verificationStatus") == "entered-in-error"
    if bool(_code(resource, "clinicalStatus")) is in_error:
        yield "ait-1, ait-2: clinicalStatus"
    if not all(one.get("manifestation") for one in resource.get("reaction", ())):
        yield "a reaction has a manifestation"


def _observation(resource: Resource) -> Iterator[str]:
    has_value = any(key.startswith("value") for key in resource)
    if has_value and "dataAbsentReason" in resource:
        yield "obs-6: a value, or why there is none"


def _immunization(resource: Resource) -> Iterator[str]:
    if resource["status"] == "completed" and "statusReason" in resource:
        yield "statusReason tells why it was not done"
    for one in resource.get("protocolApplied", ()):
        if not any(key.startswith("doseNumber") for key in one):
            yield "protocolApplied has a doseNumber"


def _device(resource: Resource) -> Iterator[str]:
    if "patient" in resource and not resource.get("type"):
        yield "Device-uv-ips: what a patient has is of a type"


_RULES: Final[Mapping[str, Callable[[Resource], Iterator[str]]]] = {
    "AllergyIntolerance": _allergy,
    "Condition": _condition,
    "Device": _device,
    "Immunization": _immunization,
    "Observation": _observation,
}


def _anywhere(value: Any) -> Iterator[str]:
    if isinstance(value, list):
        for one in value:
            yield from _anywhere(one)
    if not isinstance(value, dict):
        return
    if "start" in value and "end" in value:
        size = min(len(value["start"]), len(value["end"]), len("2026-01-01"))
        if value["start"][:size] > value["end"][:size]:
            yield "per-1: a Period ends after it begins"
    if "value" in value and "code" in value and "unit" in value and "system" not in value:
        yield "qty-3: the code of a unit has a system"
    if "url" in value and "extension" not in value and not any(k[:5] == "value" for k in value):
        yield "ext-1: an extension has a value"
    for one in value.values():
        yield from _anywhere(one)
