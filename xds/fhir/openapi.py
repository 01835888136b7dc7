"""The OpenAPI description of what is answered below /fhir, for tools that know no FHIR.

It is made of the rows by which requests are answered (:mod:`xds.fhir.interactions`).
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from xds import __version__
from xds.fhir.http.negotiation import FORM
from xds.fhir.interactions import (
    DESCRIPTION,
    HISTORY,
    OPEN,
    PATCH,
    READ,
    RETRIEVE,
    SEARCH,
    SEARCH_SYSTEM,
    SMART,
    VREAD,
    Interaction,
)
from xds.fhir.patch.bodies import FORMS
from xds.fhir.r4.resource import Resource
from xds.fhir.search.paging import OF_PARTS, RESULT_PARAMETERS
from xds.fhir.search.parameters import SearchParameter
from xds.fhir.search.system import TYPE
from xds.fhir.vocabulary import FHIR_JSON, FHIR_XML
from xds.security.requirements import NOTHING_ASKED, Requirement, UserRequirements

_FORMATS: Final = (FHIR_JSON, FHIR_XML)
_SUCCESS: Final = {"create": "201", "operation": "200"}
_REF: Final = "#/components/"
_FORMAT: Final = {
    "name": "_format",
    "in": "query",
    "description": "The form of the answer, before what Accept says.",
    "schema": {"type": "string", "enum": ["json", "xml", *_FORMATS]},
}
_PRETTY: Final = {
    "name": "_pretty",
    "in": "query",
    "description": "Whether the answer is indented.",
    "schema": {"type": "boolean"},
}
_ID: Final = {
    "name": "id",
    "in": "path",
    "required": True,
    "description": "The logical id.",
    "schema": {"type": "string", "pattern": "^[A-Za-z0-9.-]{1,64}$"},
}
_VERSION: Final = {
    "name": "version",
    "in": "path",
    "required": True,
    "description": "The versionId, as in meta.versionId and ETag.",
    "schema": {"type": "string", "pattern": "^[A-Za-z0-9.-]{1,64}$"},
}

_NUMBER: Final = {
    "name": "number",
    "in": "path",
    "required": True,
    "description": "Which document within the document, counted from 1.",
    "schema": {"type": "integer", "minimum": 1},
}

_PLAIN_JSON: Final = {DESCRIPTION: "OpenAPI 3.1.", SMART: "The configuration of SMART."}
_SCHEMES: Final = {"token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}}
_SECURITY: Final[Mapping[Requirement, dict[str, Any]]] = {
    Requirement.OFF: {},
    Requirement.OPTIONAL: {"security": [{"token": []}, {}]},
    Requirement.REQUIRED: {"security": [{"token": []}]},
}


def description(
    base: str, rows: Sequence[Interaction], requirements: UserRequirements = NOTHING_ASKED
) -> dict[str, Any]:
    """Return the description for clients that reach the server at ``base``."""
    guides = dict.fromkeys(row.guide for row in rows if row.guide)
    paths: dict[str, dict[str, Any]] = {}
    for row in rows:
        methods = paths.setdefault(row.path or "/", {})
        known = methods.get(row.method.lower())
        made = _operation(row, requirements)
        methods[row.method.lower()] = made if known is None else _either(known, made)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "xds: FHIR on an XDS.b Document Registry and Repository",
            "version": __version__,
            "description": " ".join(one.description for one in guides),
        },
        "servers": [{"url": base}],
        "paths": paths,
        "components": {
            "parameters": {
                "id": _ID,
                "version": _VERSION,
                "number": _NUMBER,
                "_format": _FORMAT,
                "_pretty": _PRETTY,
                **_type_parameter(rows),
            },
            "schemas": {"Resource": _resource_schema()},
            "responses": {
                "Failure": {
                    "description": "An OperationOutcome that says what is wrong, and where.",
                    "content": _fhir_content("OperationOutcome"),
                }
            },
            **({"securitySchemes": _SCHEMES} if requirements.asks_anywhere else {}),
        },
    }


def _type_parameter(rows: Sequence[Interaction]) -> dict[str, Any]:
    """Return the parameter of searches of the whole system, where there are such."""
    types = dict.fromkeys(one.resource_type for row in rows for one in row.among)
    if not types:
        return {}
    return {
        TYPE: {
            "name": TYPE,
            "in": "query",
            "description": "The resource type that is searched; the other parameters are its own.",
            "schema": {"type": "string", "enum": [*types]},
        }
    }


def _either(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Return an operation that is one of two, by its body."""
    summary = f"{one['summary']} Or: {other['summary']}"
    return {**one, "tags": [*one["tags"], *other["tags"]], "summary": summary}


def _operation(row: Interaction, requirements: UserRequirements) -> dict[str, Any]:
    found: dict[str, Any] = {
        "operationId": _identifier(row),
        "tags": [row.name],
        "summary": row.summary,
        "parameters": _parameters(row),
        "responses": {
            _SUCCESS.get(row.code, "200"): _success(row),
            "default": {"$ref": f"{_REF}responses/Failure"},
        },
    }
    if row.body:
        found["requestBody"] = {"required": row.needs_body, "content": _fhir_content(row.body)}
    elif row.code == PATCH:
        content: dict[str, Any] = {form: {"schema": {}} for form in FORMS}
        found["requestBody"] = {"required": True, "content": content}
    elif row.method == "POST":
        found["requestBody"] = {"content": {FORM: {"schema": _form_schema(row)}}}
    if row.code not in OPEN:
        found |= _SECURITY[requirements.of_transaction(row.name)]
    return found


def _identifier(row: Interaction) -> str:
    path = "".join(part for part in row.path.title() if part.isalnum())
    return f"{row.method.lower()}{path or 'Base'}"


def _parameters(row: Interaction) -> list[dict[str, Any]]:
    named = [name for name in ("id", "version", "number") if f"{{{name}}}" in row.path]
    found = [{"$ref": f"{_REF}parameters/{name}"} for name in named]
    if row.code in (SEARCH, SEARCH_SYSTEM):
        found += [_search_parameter(one) for one in _searched(row)]
    if row.code == HISTORY:
        found += [_search_parameter(one) for one in row.parameters]
    if row.code in (READ, VREAD) and row.handler:
        found += [_search_parameter(one) for one in RESULT_PARAMETERS if one.name in OF_PARTS]
    if row.code == SEARCH_SYSTEM:
        found.append({"$ref": f"{_REF}parameters/{TYPE}"})
    if row.code not in (*_PLAIN_JSON, RETRIEVE):
        found += [{"$ref": f"{_REF}parameters/{name}"} for name in ("_format", "_pretty")]
    return found


def _searched(row: Interaction) -> Sequence[SearchParameter]:
    return (*row.parameters, *RESULT_PARAMETERS)


def _search_parameter(one: SearchParameter) -> dict[str, Any]:
    return {
        "name": one.name,
        "in": "query",
        "description": f"{one.documentation} A FHIR search parameter of type {one.type}.",
        # one that is repeated has to hold each time
        "schema": {"type": "array", "items": {"type": "string"}},
        "style": "form",
        "explode": True,
    }


def _form_schema(row: Interaction) -> dict[str, Any]:
    values = {"type": "array", "items": {"type": "string"}}
    return {"type": "object", "properties": {one.name: values for one in _searched(row)}}


def _success(row: Interaction) -> dict[str, Any]:
    if row.code == RETRIEVE:
        content = {"*/*": {"schema": {"type": "string", "format": "binary"}}}
        told = "The document, in its own type, or as a page that shows it."
        return {"description": told, "content": {**content, "text/html": {}}}
    if row.code in _PLAIN_JSON:
        return {"description": _PLAIN_JSON[row.code], "content": {"application/json": {}}}
    answered = (
        "Bundle"
        if row.code in (SEARCH, SEARCH_SYSTEM, HISTORY, "transaction")
        else row.resource_type
    )
    content = _fhir_content(answered)
    if row.refusal_page is not None and row.method == "GET":
        content["text/html"] = {}
    return {"description": row.summary, "content": content}


def _fhir_content(resource_type: str) -> dict[str, Any]:
    schema: Resource = {"$ref": f"{_REF}schemas/Resource"}
    if resource_type:
        schema = {**schema, "properties": {"resourceType": {"const": resource_type}}}
    return {FHIR_JSON: {"schema": schema}, FHIR_XML: {"schema": {"type": "string"}}}


def _resource_schema() -> dict[str, Any]:
    return {
        "type": "object",
        "description": "A resource of FHIR R4: http://hl7.org/fhir/R4/resourcelist.html",
        "required": ["resourceType"],
        "properties": {"resourceType": {"type": "string"}},
    }
