"""A transaction Bundle of updates: PUT and PATCH entries, all or nothing (FHIR R4, 3.1.0.11).

Each entry is what the request of its own would be. What all of them change is registered in one
commit, an update (ITI-57) for each patient.
"""

from base64 import b64decode
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final
from urllib.parse import parse_qsl

from xds.fhir.exchange import Answer, Call
from xds.fhir.facade import Facade
from xds.fhir.http.versions import etag
from xds.fhir.patch.bodies import patch_of
from xds.fhir.r4 import json
from xds.fhir.r4.issues import IssueCollector
from xds.fhir.r4.outcome import Refused
from xds.fhir.r4.resource import Resource
from xds.fhir.vocabulary import FHIR_JSON
from xds.mhd.stored_resources import StoredResources
from xds.mhd.updates.comparison import CurrentResource, MetadataChange
from xds.mhd.updates.updating import UpdatableResources
from xds.mhd.updates.writing import write
from xds.security.details import PatientDetails, distinct

_PUT: Final = "PUT"
_PATCH: Final = "PATCH"
_DELETE: Final = "DELETE"
_OPTIONS: Final = {_PUT: "fhir_update", _PATCH: "fhir_patch", _DELETE: "fhir_delete"}

Updatables = Mapping[str, UpdatableResources]
"""What can be updated, by resource type."""


@dataclass(frozen=True, slots=True)
class UpdateEntry:
    """An entry that updates something."""

    place: str
    """Its FHIRPath, such as ``Bundle.entry[0]``."""
    updatable: UpdatableResources
    current: CurrentResource
    change: MetadataChange | None
    """None where nothing can change."""


def takes(bundle: Resource) -> bool:
    """Tell whether a body is a transaction of updates: of PUT and PATCH entries.

    One that also has DELETE entries is refused here.
    """
    methods = _methods(bundle)
    return bool(methods - {_DELETE}) and methods <= _OPTIONS.keys()


def takes_removals(bundle: Resource) -> bool:
    """Tell whether a body is a transaction of removals: every entry is a DELETE."""
    return _methods(bundle) == {_DELETE}


def _methods(bundle: Resource) -> set[Any]:
    if bundle.get("type") != "transaction":
        return set()
    return {(one.get("request") or {}).get("method") for one in bundle.get("entry") or ()}


def update_all(types: Updatables, facade: Facade, call: Call) -> Answer:
    """Make every change that a Bundle asks for, or none; answer with what there is now."""
    problems = IssueCollector()
    problems.add(call.warnings)
    entries = read_entries(types, facade, call, enumerate(call.resource["entry"]), problems)
    problems.raise_if_any()
    changes = [one.change for one in entries if one.change and not one.change.is_nothing]
    if changes:
        write(facade, call, changes)
    else:
        patients = distinct(one.current.thing.patient_id for one in entries)
        call.access.details = PatientDetails(patients)
    return Answer(
        resource={
            "resourceType": "Bundle",
            "type": "transaction-response",
            "link": [{"relation": "self", "url": call.base}],
            "entry": [answered(facade, call, one) for one in entries],
        }
    )


def named(
    types: Updatables, facade: Facade, call: Call
) -> Sequence[tuple[StoredResources, CurrentResource]]:
    """Return what the entries of a Bundle name, each once; Refused with all that is wrong."""
    problems = IssueCollector()
    problems.add(call.warnings)
    found: dict[str, tuple[StoredResources, CurrentResource]] = {}
    for place, one in _places(enumerate(call.resource["entry"])):
        try:
            updatable, asked = _asked(types, facade, call, place, one)
            current = updatable.current(facade, asked)
        except Refused as refused:
            problems.take(refused.at(place))
            continue
        _require_new(found, current.id, place, problems)
        found[current.id] = updatable.stored, current
    problems.raise_if_any()
    return list(found.values())


def describe(types: Updatables, facade: Facade, call: Call) -> None:
    """Note whose resources a Bundle updates or removes."""
    patients: list[str | None] = []
    for place, one in _places(enumerate(call.resource.get("entry") or ())):
        with IssueCollector().gathering():
            updatable, asked = _asked(types, facade, call, place, one)
            asked = replace(asked, if_match="")
            patients.append(updatable.current(facade, asked).thing.patient_id)
    call.access.details = PatientDetails(distinct(patients))


def read_entries(
    types: Updatables,
    facade: Facade,
    call: Call,
    entries: Iterator[tuple[int, Resource]],
    problems: IssueCollector,
) -> Sequence[UpdateEntry]:
    """Return what entries of a Bundle, each with its index, update; problems are noted."""
    found: dict[str, UpdateEntry] = {}
    for place, one in _places(entries):
        try:
            made = _read(types, facade, call, place, one)
        except Refused as refused:
            problems.take(_at(types, refused, place))
            continue
        _require_new(found, made.current.id, place, problems)
        found[made.current.id] = made
    return list(found.values())


def _require_new(
    found: Mapping[str, object], identifier: str, place: str, problems: IssueCollector
) -> None:
    if identifier in found:
        told = "another entry is about the same resource (R4, 3.1.0.11.2)"
        problems.error("invalid", told, f"{place}.request.url")


def _places(entries: Iterator[tuple[int, Resource]]) -> Iterator[tuple[str, Resource]]:
    """Yield the FHIRPath of each entry of a Bundle, and the entry."""
    for index, one in entries:
        yield f"Bundle.entry[{index}]", one


def _read(
    types: Updatables, facade: Facade, call: Call, place: str, entry: Resource
) -> UpdateEntry:
    updatable, asked = _asked(types, facade, call, place, entry)
    asked = _with_content(facade, asked, place, entry, updatable.stored.resource_type)
    current = updatable.current(facade, asked)
    wanted = asked.resource if asked.patch is None else asked.patch(current.resource)
    change = updatable.change(facade, asked, current, wanted)
    return UpdateEntry(place, updatable, current, change and change.at(f"{place}.resource"))


def _at(types: Updatables, refused: Refused, place: str) -> Refused:
    """Return a refusal of what an entry asks for, its places those in the Bundle."""

    def moved(expression: str) -> str:
        kind, dot, within = expression.partition(".")
        return f"{place}.resource{dot}{within}" if kind in types else expression

    issues = [
        replace(one, expression=tuple(map(moved, one.expression)) or (place,))
        for one in refused.issues
    ]
    return Refused(refused.status, issues)


def _asked(
    types: Updatables, facade: Facade, call: Call, place: str, entry: Resource
) -> tuple[UpdatableResources, Call]:
    """Return the request that an entry stands for, without its resource; raises Refused."""
    request = entry.get("request") or {}
    method, url = request.get("method", ""), str(request.get("url") or "")
    path, _, query = url.removeprefix(call.base).strip("/").partition("?")
    kind, _, identifier = path.partition("/")
    where = f"{place}.request.url"
    if kind not in types or "/" in identifier or not (identifier or query):
        told = f"a {method} is at {' or '.join(types)}, with an id or a search"
        raise Refused.because(400, "not-supported", told, where)
    config = facade.config
    if not config.offers_by_fhir(
        getattr(config, _OPTIONS[method]), has_policy=config.policy is not None
    ):
        told = f"no {method} is offered here (option {_OPTIONS[method]})"
        raise Refused.because(400, "not-supported", told, f"{place}.request.method")
    asked = replace(
        call,
        identifier=identifier,
        parameters=tuple(parse_qsl(query, keep_blank_values=True)),
        if_match=request.get("ifMatch", ""),
        resource={},
        warnings=(),
    )
    return types[kind], asked


def _with_content(facade: Facade, asked: Call, place: str, entry: Resource, kind: str) -> Call:
    """Return the request of an update with its resource or patch."""
    method = entry["request"]["method"]
    resource = entry.get("resource") or {}
    if method == _DELETE:
        told = "DELETE entries are in a transaction of DELETE entries alone"
        raise Refused.because(400, "not-supported", told, f"{place}.request.method")
    if method == _PATCH:
        return replace(asked, patch=_patch(resource, place, facade.config.max_fhir_depth))
    if resource.get("resourceType") != kind:
        told = f"the resource of a PUT at {kind} is a {kind}"
        raise Refused.because(400, "value", told, f"{place}.resource")
    return replace(asked, resource=resource)


def _patch(resource: Resource, place: str, deepest: int) -> Callable[[Resource], Resource]:
    """Read the patch of an entry: FHIRPath Patch as Parameters, any other as a Binary."""
    read = partial(patch_of, deepest=deepest)
    try:
        match resource.get("resourceType"):
            case "Parameters":
                return read(json.render(resource), FHIR_JSON)
            case "Binary":
                data = b64decode(resource.get("data", ""))
                return read(data, str(resource.get("contentType", "")))
    except Refused as refused:
        raise Refused(refused.status, refused.issues).at(f"{place}.resource") from None
    told = "a patch is a resource Parameters (FHIRPath Patch) or Binary (R4, 3.1.0.11)"
    raise Refused.because(400, "value", told, f"{place}.resource")


def answered(facade: Facade, call: Call, entry: UpdateEntry) -> Resource:
    """Return the entry that answers one."""
    details = call.access.details
    asked = Call(access=call.access, base=call.base, identifier=entry.current.id)
    answer = entry.updatable.stored.read(facade, asked)
    call.access.details = details
    resource: Any = answer.resource
    url = f"{resource['resourceType']}/{resource['id']}"
    response: Resource = {
        "status": "200 OK",
        "location": f"{url}/_history/{resource['meta']['versionId']}",
        "etag": etag(resource),
        "lastModified": resource["meta"]["lastUpdated"],
    }
    if call.prefer.get("return") in ("minimal", "OperationOutcome"):
        return {"response": response}
    return {"fullUrl": f"{call.base}/{url}", "resource": resource, "response": response}
