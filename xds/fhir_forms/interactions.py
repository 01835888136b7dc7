"""INTERACTIONS: what this service answers below /fhir, a row each."""

from typing import Final

from xds.fhir.interactions import OPERATION, Interaction
from xds.fhir.vocabulary import OWN
from xds.fhir_forms import document, summary
from xds.metadata.catalogue import ITI_68
from xds.security.scopes import permissions

_SUMMARY: Final = "http://hl7.org/fhir/uv/ips/OperationDefinition/summary"
_OF_SUMMARIES: Final = permissions(Patient="r", DocumentReference="r", Binary="r")


def _summary(method: str, path: str, told: str) -> Interaction:
    return Interaction(
        ITI_68.name,
        OPERATION,
        method,
        path,
        f"A patient's summary, made of the documents that the caller may see: {told}.",
        summary.summary,
        "Patient",
        body="Parameters" if method == "POST" else "",
        needs_body=False,
        gives_content=True,
        refusal_page=summary.refusal,
        describer=summary.describe,
        permissions=_OF_SUMMARIES,
        definition=_SUMMARY,
    )


INTERACTIONS: Final = (
    Interaction(
        ITI_68.name,
        OPERATION,
        "GET",
        "/DocumentReference/{id}/$document",
        "A document in another form, which the parameter form names: it is made on request.",
        document.document,
        "DocumentReference",
        gives_content=True,
        describer=document.describe,
        permissions=permissions(DocumentReference="r", Binary="r"),
        definition=f"{OWN}document",
    ),
    _summary("GET", "/Patient/{id}/$summary", "by the patient's id"),
    _summary("POST", "/Patient/{id}/$summary", "by the patient's id"),
    _summary("GET", "/Patient/$summary", "by an identifier, which the parameter names"),
    _summary("POST", "/Patient/$summary", "by an identifier, which Parameters name"),
)
"""The rows of the service."""
