"""The CapabilityStatement: what is answered below /fhir, and no more (MHD 1:33.1; FHIR R4).

It is made from INTERACTIONS and SEARCH_PARAMETERS, by which requests are answered.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from xds import __version__
from xds.config import Config
from xds.fhir import smart
from xds.fhir import vocabulary as v
from xds.fhir.r4.resource import Resource
from xds.fhir.search.paging import RESULT_PARAMETERS
from xds.metadata.catalogue import (
    CATALOGUE,
    ITI_65,
    ITI_66,
    ITI_67,
    ITI_68,
    ITI_78,
    ITI_105,
    ITI_106,
)
from xds.mhd.interactions import (
    CREATE,
    INTERACTIONS,
    OPERATION,
    SEARCH_SYSTEM,
    TRANSACTION,
    VREAD,
    Interaction,
)
from xds.mhd.search.parameters import SEARCH_PARAMETERS, SearchParameter
from xds.security.issuers import TokenIssuer
from xds.security.requirements import NOTHING_ASKED, Requirement, UserRequirements

_WRITTEN: Final = "2026-11-25"
"""The day on which what is stated here last changed."""
_STATED: Final = ("create", "read", "vread", "search-type")
_PROFILES: Final = {
    "DocumentReference": (v.COMPREHENSIVE_DOCUMENT_REFERENCE, v.MINIMAL_DOCUMENT_REFERENCE),
    "List": (
        v.COMPREHENSIVE_SUBMISSION_SET,
        v.MINIMAL_SUBMISSION_SET,
        v.COMPREHENSIVE_FOLDER,
        v.MINIMAL_FOLDER,
    ),
}
MHD_ACTORS: Final[Mapping[str, Sequence[str]]] = {
    ITI_65.name: ("DocumentRecipient", "DocumentRecipient.Comprehensive", "DocumentRecipient.Fdoc"),
    ITI_105.name: ("DocumentRecipient.Simplified",),
    ITI_106.name: ("DocumentRecipient.Generate",),
    ITI_66.name: (),
    ITI_67.name: ("DocumentResponder",),
    ITI_68.name: (),
    ITI_78.name: (),
}
"""The actors and options of MHD that a transaction stands for (MHD 1:33.2)."""


def statement(
    base: str, config: Config, requirements: UserRequirements = NOTHING_ASKED
) -> Resource:
    """Return the statement for clients that reach the server at ``base``."""
    return {
        "resourceType": "CapabilityStatement",
        "name": "XDS",
        "title": "MHD Document Recipient and Document Responder",
        "status": "active",
        "date": _WRITTEN,
        "description": (
            "Document sharing by IHE MHD 4.2.4, grouped with an XDS.b Document Registry and "
            "Document Repository (XDS on FHIR)."
        ),
        "kind": "instance",
        "instantiates": _instantiated(INTERACTIONS, config),
        "software": {"name": "xds", "version": __version__},
        "implementation": {"description": "XDS on FHIR", "url": base},
        "fhirVersion": v.FHIR_VERSION,
        "format": [v.FHIR_XML, v.FHIR_JSON],
        "implementationGuide": [v.IMPLEMENTATION_GUIDE],
        "rest": [_rest(config, requirements)],
    }


def _instantiated(rows: Iterable[Interaction], config: Config) -> list[str]:
    names = {row.name for row in rows}
    if not can_generate(config):
        names.discard(ITI_106.name)
    return [
        f"{v.CAPABILITIES}IHE.MHD.{stated}"
        for name, all_stated in MHD_ACTORS.items()
        if name in names
        for stated in all_stated
    ]


def can_generate(config: Config) -> bool:
    """Tell whether ITI-106 can work: documents do not say all codes that metadata require."""
    return config.minimal_metadata == "accept" or config.generate_defaults is not None


def _rest(config: Config, requirements: UserRequirements) -> Resource:
    types = dict.fromkeys(row.resource_type for row in INTERACTIONS if row.resource_type)
    return {
        "mode": "server",
        "security": _security(config, requirements),
        "resource": [_resource(name, config) for name in types],
        "interaction": _of_system(config),
        "searchParam": _search_parameters(RESULT_PARAMETERS),
    }


def _security(config: Config, requirements: UserRequirements) -> Resource:
    stated: Resource = {"cors": bool(config.fhir_cors_origins)}
    asked = {
        name: requirements.of_transaction(name)
        for name in (row.name for row in CATALOGUE if row.fhir is not None)
    }
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


def _of_system(config: Config) -> list[Resource]:
    accepted = [v.COMPREHENSIVE_PROVIDE_BUNDLE]
    if config.minimal_metadata == "accept":
        accepted.append(v.MINIMAL_PROVIDE_BUNDLE)
    by_code = {row.code: row for row in INTERACTIONS}
    stated: list[Resource] = []
    if TRANSACTION in by_code:
        stated += [{"code": TRANSACTION, "documentation": profile} for profile in accepted]
    if search := by_code.get(SEARCH_SYSTEM):
        stated.append({"code": search.code, "documentation": search.summary})
    return stated


def _resource(resource_type: str, config: Config) -> Resource:
    rows = [row for row in INTERACTIONS if row.resource_type == resource_type]
    codes = {row.code for row in rows}
    stated: dict[str, Any] = {"type": resource_type}
    profiles = [*_PROFILES.get(resource_type, ())]
    if CREATE in codes:
        profiles.append(v.SIMPLIFIED_DOCUMENT_REFERENCE)
    if profiles:
        stated["supportedProfile"] = profiles
    stated["interaction"] = [{"code": code} for code in _STATED if code in codes]
    if VREAD in codes:
        stated |= {"versioning": "versioned", "readHistory": False}
    if parameters := SEARCH_PARAMETERS.get(resource_type):
        stated["searchParam"] = _search_parameters(parameters)
    operations = [row for row in rows if row.code == OPERATION]
    if operations and can_generate(config):
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
    definition = f"{v.MHD}/OperationDefinition/{name}"
    return {"name": name, "definition": definition, "documentation": row.summary}
