"""INTERACTIONS: what this service answers below /fhir, a row each."""

from typing import Final

from xds.fhir.interactions import OPERATION, Interaction
from xds.fhir.vocabulary import OWN
from xds.fhir_forms import document
from xds.metadata.catalogue import ITI_68
from xds.security.scopes import permissions

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
        permissions=permissions(DocumentReference="r", Binary="r"),
        definition=f"{OWN}document",
    ),
)
"""The rows of the service."""
