"""A submission by FHIR as a plain client makes it: for tests that publish and read back."""

import base64
import hashlib
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from xds.fhir.vocabulary import URI_SYSTEM
from xds.mhd.vocabulary import (
    COMPREHENSIVE_DOCUMENT_REFERENCE,
    COMPREHENSIVE_PROVIDE_BUNDLE,
    COMPREHENSIVE_SUBMISSION_SET,
    DESIGNATION_TYPE,
    LIST_TYPES,
    SOURCE_ID,
)

NHS_NUMBER = "https://fhir.nhs.uk/Id/nhs-number"


def concept(system: str, code: str, display: str) -> dict[str, Any]:
    """Return a CodeableConcept."""
    return {"coding": [{"system": system, "code": code, "display": display}]}


REPORT = concept("http://loinc.org", "51969-4", "Genetic analysis report")
LABORATORY = concept("http://snomed.info/sct", "261904005", "Laboratory")


@dataclass(frozen=True, slots=True)
class Story:
    """One patient and what is published for them; every instance is a new one."""

    number: str

    @classmethod
    def new(cls) -> "Story":
        """Make up a patient."""
        return cls(str(uuid4().int % 10**10).zfill(10))

    @property
    def subject(self) -> dict[str, Any]:
        """A logical reference to the patient."""
        return {"identifier": {"system": NHS_NUMBER, "value": self.number}}

    @property
    def token(self) -> str:
        """The patient as the value of a search parameter."""
        return f"{NHS_NUMBER}|{self.number}"

    def bundle(self, *documents: bytes) -> dict[str, Any]:
        """Return an ITI-65 request with Comprehensive Metadata."""
        pairs = [self._pair(document) for document in documents]
        return {
            "resourceType": "Bundle",
            "meta": {"profile": [COMPREHENSIVE_PROVIDE_BUNDLE]},
            "type": "transaction",
            "entry": [
                self._submission_set([pair[0]["fullUrl"] for pair in pairs]),
                *(one for pair in pairs for one in pair),
            ],
        }

    def _submission_set(self, members: list[str]) -> dict[str, Any]:
        resource = {
            "resourceType": "List",
            "meta": {"profile": [COMPREHENSIVE_SUBMISSION_SET]},
            "extension": [
                {
                    "url": DESIGNATION_TYPE,
                    "valueCodeableConcept": concept("http://snomed.info/sct", "721963009", "Order"),
                },
                {
                    "url": SOURCE_ID,
                    "valueIdentifier": {"system": URI_SYSTEM, "value": "urn:oid:2.999.1.9"},
                },
            ],
            "identifier": [
                {"use": "usual", "system": URI_SYSTEM, "value": f"urn:oid:2.25.{uuid4().int}"}
            ],
            "status": "current",
            "mode": "working",
            "code": {"coding": [{"system": LIST_TYPES, "code": "submissionset"}]},
            "subject": self.subject,
            "date": "2026-03-02T10:00:00Z",
            "entry": [{"item": {"reference": member}} for member in members],
        }
        return _posted(resource)

    def _pair(self, document: bytes) -> tuple[dict[str, Any], dict[str, Any]]:
        binary = _posted(
            {
                "resourceType": "Binary",
                "contentType": "text/plain",
                "data": base64.b64encode(document).decode(),
            }
        )
        return _posted(self.reference(document, binary["fullUrl"])), binary

    def reference(self, document: bytes, url: str) -> dict[str, Any]:
        """Return a DocumentReference with Comprehensive Metadata."""
        return {
            "resourceType": "DocumentReference",
            "meta": {"profile": [COMPREHENSIVE_DOCUMENT_REFERENCE]},
            "contained": [
                {
                    "resourceType": "Patient",
                    "id": "source",
                    "identifier": [{"system": "urn:oid:2.999.1.2", "value": "MRN77"}],
                    "name": [{"family": "Shaw", "given": ["Ada"]}],
                },
                {
                    "resourceType": "Practitioner",
                    "id": "author",
                    "name": [{"family": "Welby", "given": ["Marcus"], "prefix": ["Dr"]}],
                },
            ],
            "masterIdentifier": {"system": URI_SYSTEM, "value": f"urn:oid:2.25.{uuid4().int}"},
            "status": "current",
            "type": REPORT,
            "category": [concept("http://loinc.org", "11502-2", "Laboratory report")],
            "subject": self.subject,
            "author": [{"reference": "#author"}],
            "securityLabel": [
                concept("http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "N", "normal")
            ],
            "content": [
                {
                    "attachment": {
                        "contentType": "text/plain",
                        "language": "en-GB",
                        "url": url,
                        "size": len(document),
                        "hash": base64.b64encode(hashlib.sha1(document).digest()).decode(),
                        "title": "Genetic report",
                        "creation": "2026-03-01T09:30:00Z",
                    },
                    "format": {
                        "system": "http://ihe.net/fhir/ihe.formatcode.fhir/CodeSystem/formatcode",
                        "code": "urn:ihe:iti:xds:2017:mimeTypeSufficient",
                        "display": "mimeType Sufficient",
                    },
                }
            ],
            "context": {
                "facilityType": LABORATORY,
                "practiceSetting": concept("http://snomed.info/sct", "394804000", "Genetics"),
                "sourcePatientInfo": {"reference": "#source"},
            },
        }


def _posted(resource: dict[str, Any]) -> dict[str, Any]:
    return {
        "fullUrl": f"urn:uuid:{uuid4()}",
        "resource": resource,
        "request": {"method": "POST", "url": resource["resourceType"]},
    }
