"""FHIR searches: the form of one, the search that it becomes, and what was answered."""

import json
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from xds.console.views.workbench.asked import (
    FIELDS,
    MOST_RESULTS,
    AnsweredError,
    AnsweredObject,
    AskedParameter,
    AskingCommand,
    WorkbenchAnswer,
    base,
    results,
    shown_raw,
)
from xds.console.visits import Visit
from xds.fhir.exchange import Call
from xds.fhir.http import failures
from xds.fhir.interactions import SEARCH, Interaction, answered
from xds.fhir.r4 import rendering
from xds.fhir.r4.outcome import operation_outcome
from xds.fhir.r4.resource import Resource
from xds.fhir.search.paging import PAGE
from xds.fhir.search.parameters import SearchParameter
from xds.fhir.vocabulary import FHIR_JSON
from xds.security.access import Access

_COUNT: Final = "_count"
_EXAMPLES: Final = {
    "token": "11488-4, or system|code",
    "date": "ge2026-11-25, le…, or a day",
    "string": "how it begins",
    "uri": "urn:oid:2.999.1",
    "number": "1000, or ge1000",
}


def searches(visit: Visit) -> dict[str, Interaction]:
    """Return the searches that this server answers by the names of their resource types."""
    rows = answered(visit.console.interactions, visit.console.config)
    return {one.resource_type: one for one in rows if one.code == SEARCH and one.method == "GET"}


def parameters(search: Interaction, given: Mapping[str, str]) -> list[AskedParameter]:
    """Return the parameters of a search."""
    return [
        AskedParameter(
            field=field,
            name=one.name,
            hint="; ".join(_hints(one)),
            comes_first=one.finds,
            is_many=False,
            value=given.get(field, ""),
        )
        for field, one in zip(FIELDS, search.parameters, strict=False)
    ]


def _hints(one: SearchParameter) -> Iterator[str]:
    yield one.type
    if one.documentation:
        yield one.documentation.rstrip(".")
    example = "Patient/…" if one.type == "reference" else _EXAMPLES.get(one.type)
    if example:
        yield f"such as {example}"
    if one.modifiers:
        yield f"takes {', '.join(f':{name}' for name in sorted(one.modifiers))} among the others"


def _asked(visit: Visit, search: Interaction) -> tuple[tuple[str, str], ...]:
    """Return the parameters as a client sends them."""
    given = visit.given
    found = [
        (one.name, given[field].strip())
        for field, one in zip(FIELDS, search.parameters, strict=False)
        if given[field].strip()
    ]
    for line in given["more"].splitlines():
        name, _, value = line.strip().partition("=")
        if name:
            found.append((name, value))
    if all(name != _COUNT for name, _ in found):
        found.append((_COUNT, str(results(visit.given))))
    if given["start"]:
        found.append((PAGE, given["start"]))
    return tuple(_few(name, value) for name, value in found)


def _few(name: str, value: str) -> tuple[str, str]:
    """Have no answer be larger than a page shows."""
    is_large = name == _COUNT and value.isdecimal() and int(value[:9]) > MOST_RESULTS
    return name, str(MOST_RESULTS) if is_large else value


def ask(visit: Visit, search: Interaction) -> WorkbenchAnswer:
    """Ask a search as the person who has logged in, recorded as any."""
    facade = visit.console.facade
    access = visit.access(search.name)
    access.interaction = search.code
    call = Call(
        access=access, base=f"{base(visit.console.config)}/fhir", parameters=_asked(visit, search)
    )
    access.describe = partial(_describe, visit, search, call)
    assert search.handler is not None, "a search has a handler"
    try:
        with visit.domain.interceptors.passing(access):
            answer = search.handler(facade, call)
            resource = answer.resource or {}
            blocks = rendering.blocks(resource, FHIR_JSON)
            data = rendering.render(resource, FHIR_JSON) if blocks is None else b"".join(blocks)
    except Exception as error:
        refused = failures.as_refused(error)
        if refused.status == 500:
            raise
        return _shown(
            refused.status,
            json.loads(rendering.render(operation_outcome(refused.issues), FHIR_JSON)),
        )
    return _shown(answer.status, json.loads(data))


def _describe(visit: Visit, search: Interaction, call: Call, access: Access) -> None:
    """Note what is asked that is denied."""
    if search.describer is not None:
        search.describer(visit.console.facade, replace(call, access=access))


def _shown(status: int, resource: Resource) -> WorkbenchAnswer:
    entries = resource.get("entry", ())
    outcomes = [
        one["resource"]
        for one in entries
        if one["resource"].get("resourceType") == "OperationOutcome"
    ]
    if resource.get("resourceType") == "OperationOutcome":
        outcomes = [resource]
    found = [one["resource"] for one in entries if one["search"]["mode"] == "match"]
    text, is_cut = shown_raw(json.dumps(resource, indent=2, ensure_ascii=False))
    return WorkbenchAnswer(
        status=str(status),
        is_success=status < 400,
        errors=[_error(issue) for one in outcomes for issue in one.get("issue", ())],
        objects=[_object(one) for one in found],
        total=str(resource.get("total", "")),
        raw=text,
        is_cut=is_cut,
        following=_following(resource),
    )


def _error(issue: Mapping[str, Any]) -> AnsweredError:
    coding: Mapping[str, str] = next(iter(issue.get("details", {}).get("coding", ())), {})
    code = coding.get("code") or issue.get("code", "")
    expression = ", ".join(issue.get("expression", ()))
    return AnsweredError(code, issue.get("diagnostics", ""), issue.get("severity", ""), expression)


def _object(resource: Mapping[str, Any]) -> AnsweredObject:
    kind, identifier = resource.get("resourceType", ""), resource.get("id", "")
    coded = resource.get("type") or resource.get("code") or {}
    coding: Mapping[str, str] = (
        next(iter(coded.get("coding", ())), {}) if isinstance(coded, Mapping) else {}
    )
    display = coding.get("display") or coding.get("code") or ""
    name = resource.get("description") or resource.get("title") or display or identifier
    place = f"/documents/{identifier}" if kind == "DocumentReference" else ""
    if kind == "Patient" and identifier.isdecimal():
        place = f"/patients/{identifier}"
    return AnsweredObject(kind, str(name), str(resource.get("status", "")), identifier, place)


def _following(resource: Mapping[str, Any]) -> str:
    """Return the token of the next page."""
    links = {one["relation"]: one["url"] for one in resource.get("link", ())}
    query = dict(parse_qsl(urlsplit(str(links.get("next", ""))).query))
    return query.get(PAGE, "")


def commands(visit: Visit, search: Interaction) -> list[AskingCommand]:
    """Return how programs ask the same: by a form, so that no URL names a patient."""
    fields = " ".join(
        f"--data-urlencode {shlex.quote(f'{name}={value}')}"
        for name, value in _asked(visit, search)
    )
    url = shlex.quote(f"{base(visit.console.config)}/fhir{search.path}/_search")
    return [AskingCommand("By curl", f"curl {fields} {url}")]
