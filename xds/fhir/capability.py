"""The CapabilityStatement: what is answered below /fhir, and no more (FHIR R4).

It is made of the rows by which requests are answered (:mod:`xds.fhir.interactions`).
"""

from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from xds import __version__
from xds.config import Config
from xds.fhir import smart
from xds.fhir import vocabulary as v
from xds.fhir.interactions import (
    HISTORY,
    OPERATION,
    PATCH,
    SEARCH,
    SEARCH_SYSTEM,
    TRANSACTION,
    UPDATE,
    VREAD,
    Interaction,
    transactions_of,
)
from xds.fhir.patch.bodies import FORMS
from xds.fhir.r4.resource import Resource
from xds.fhir.search.paging import RESULT_PARAMETERS
from xds.fhir.search.parameters import SearchParameter
from xds.metadata.catalogue import CATALOGUE
from xds.security.issuers import TokenIssuer
from xds.security.requirements import NOTHING_ASKED, Requirement, UserRequirements

_WRITTEN: Final = "2026-11-28"
"""The day on which what is stated here last changed."""
_WEBSOCKET: Final = "http://hl7.org/fhir/StructureDefinition/capabilitystatement-websocket"
_STATED: Final = (
    "create",
    "read",
    "vread",
    "update",
    "patch",
    "delete",
    "history-instance",
    "search-type",
)


def statement(
    base: str,
    config: Config,
    rows: Sequence[Interaction],
    requirements: UserRequirements = NOTHING_ASKED,
) -> Resource:
    """Return the statement for clients that reach the server at ``base``."""
    guides = [*dict.fromkeys(row.guide for row in rows if row.guide)]
    instantiated = (one for row in rows if row.is_offered(config) for one in row.instantiates)
    return {
        "resourceType": "CapabilityStatement",
        "name": "XDS",
        "title": "; ".join(one.title for one in guides),
        "status": "active",
        "date": _WRITTEN,
        "description": " ".join(one.description for one in guides),
        "kind": "instance",
        "instantiates": [*dict.fromkeys(instantiated)],
        "software": {"name": "xds", "version": __version__},
        "implementation": {"description": "XDS on FHIR", "url": base},
        "fhirVersion": v.FHIR_VERSION,
        "format": [v.FHIR_XML, v.FHIR_JSON],
        **({"patchFormat": [*FORMS]} if any(row.code == PATCH for row in rows) else {}),
        "implementationGuide": [one.url for one in guides],
        "rest": [_rest(base, config, rows, requirements)],
    }


def websocket_url(base: str, config: Config) -> str:
    """Return the URL of websockets for clients that reach FHIR at ``base``."""
    if config.websocket_url:
        return config.websocket_url
    found = urlsplit(base)
    host = found.hostname or config.host
    scheme = "wss" if found.scheme == "https" else "ws"
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{config.websocket_port}"


def _rest(
    base: str, config: Config, rows: Sequence[Interaction], requirements: UserRequirements
) -> Resource:
    types = dict.fromkeys(row.resource_type for row in rows if row.resource_type)
    url = websocket_url(base, config)
    extension = {"extension": [_at_websocket(url)]} if config.has_websockets else {}
    return {
        **extension,
        "mode": "server",
        "security": _security(config, rows, requirements),
        "resource": [_resource(name, config, rows) for name in types],
        "interaction": _of_system(config, rows),
        "searchParam": _search_parameters(RESULT_PARAMETERS),
    }


def _at_websocket(url: str) -> Resource:
    return {"url": _WEBSOCKET, "valueUri": url}


def _security(
    config: Config, rows: Sequence[Interaction], requirements: UserRequirements
) -> Resource:
    stated: Resource = {"cors": bool(config.fhir_cors_origins)}
    answered = transactions_of(rows)
    names = [row.name for row in CATALOGUE if row.name in answered]
    asked = {name: requirements.of_transaction(name) for name in names}
    if not any(asked.values()):
        return {**stated, "description": "The server itself does not ask who a client is."}
    required = config.token_scopes == "require"
    scopes = " with the transaction's name or SMART's scopes" if required else ""
    told = [f"A JSON Web Token of IHE IUA in the header Authorization (Bearer){scopes}."]
    for requirement, word in ((Requirement.REQUIRED, "Required"), (Requirement.OPTIONAL, "Taken")):
        if names := [name for name, found in asked.items() if found is requirement]:
            told.append(f"{word} by {', '.join(names)}.")
    issuer = smart.authorization_server(config, requirements)
    if issuer is not None:
        stated = {**stated, "extension": [_oauth_uris(issuer)]}
    services = [_service("OAuth"), *([_service("SMART-on-FHIR")] if issuer else ())]
    return {**stated, "service": services, "description": " ".join(told)}


def _service(code: str) -> Resource:
    system = "http://terminology.hl7.org/CodeSystem/restful-security-service"
    return {"coding": [{"system": system, "code": code}]}


def _oauth_uris(issuer: TokenIssuer) -> Resource:
    """State an authorization server as clients read it who do not know smart-configuration."""
    return {
        "url": "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris",
        "extension": [
            {"url": name, "valueUri": issuer.endpoints[endpoint]}
            for name, endpoint in _OAUTH_URIS.items()
            if endpoint in issuer.endpoints
        ],
    }


_OAUTH_URIS: Final = {
    "authorize": "authorization_endpoint",
    "token": "token_endpoint",
    "register": "registration_endpoint",
    "manage": "management_endpoint",
    "introspect": "introspection_endpoint",
    "revoke": "revocation_endpoint",
}


def _of_system(config: Config, rows: Sequence[Interaction]) -> list[Resource]:
    transactions = [row for row in rows if row.code == TRANSACTION]
    searches = [row for row in rows if row.code == SEARCH_SYSTEM and row.method == "GET"]
    return [
        *(
            {"code": TRANSACTION, "documentation": profile}
            for row in transactions
            for profile in row.profiles(config) or (row.summary,)
        ),
        *({"code": row.code, "documentation": row.summary} for row in searches),
    ]


def _resource(resource_type: str, config: Config, all_rows: Sequence[Interaction]) -> Resource:
    rows = [row for row in all_rows if row.resource_type == resource_type]
    codes = {row.code for row in rows}
    extension = [one for row in rows for one in row.extension]
    stated: dict[str, Any] = {"extension": extension} if extension else {}
    stated["type"] = resource_type
    if profiles := dict.fromkeys(one for row in rows for one in row.profiles(config)):
        stated["supportedProfile"] = [*profiles]
    stated["interaction"] = [{"code": code} for code in _STATED if code in codes]
    if VREAD in codes:
        updates = bool(codes & {UPDATE, PATCH})
        versioning = "versioned-update" if updates else "versioned"
        stated |= {"versioning": versioning, "readHistory": HISTORY in codes}
        stated |= {"updateCreate": False} if updates else {}
    if parameters := next((row.parameters for row in rows if row.code == SEARCH), ()):
        stated["searchParam"] = _search_parameters(parameters)
    operations = [row for row in rows if row.code == OPERATION and row.is_offered(config)]
    if operations:
        stated["operation"] = [_operation(row) for row in operations]
    return stated


def _search_parameters(rows: Sequence[SearchParameter]) -> list[Resource]:
    return [
        {
            "name": row.name,
            **({"definition": row.definition} if row.definition else {}),
            "type": row.type,
            "documentation": row.documentation,
        }
        for row in rows
    ]


def _operation(row: Interaction) -> Resource:
    name = row.path.rpartition("$")[2]
    return {"name": name, "definition": row.definition, "documentation": row.summary}
