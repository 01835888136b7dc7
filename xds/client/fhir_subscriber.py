"""A Resource Notification Subscriber: has a FHIR server tell what happens (DSUBm 2:3.110)."""

import json
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, Final

from xds.client.errors import ClientError
from xds.closing import Closing
from xds.metadata.datatypes import CX
from xds.outgoing.transport import HttpEndpoint, HttpRequest, HttpResponse, Settings

_FHIR_JSON: Final = "application/fhir+json"
_TOPIC: Final = "https://profiles.ihe.net/ITI/DSUBm/SubscriptionTopic/DSUBm-SubscriptionTopic-"
_BACKPORT: Final = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/backport-"
_MOST_OF_ANSWER: Final = 1 << 20
_BLOCK: Final = 64 * 1024


class FhirRefused(ClientError):
    """A FHIR server has refused a request; ``explain`` has what its OperationOutcome says."""

    def __init__(self, status: int, diagnostics: Sequence[str]) -> None:
        super().__init__(f"The server has answered with the status {status}.")
        self.status = status
        self.diagnostics = tuple(diagnostics)

    def explain(self) -> str:
        """Tell the status and what is wrong, a line each."""
        return "\n".join((str(self), *self.diagnostics))


class ResourceSubscriber(Closing):
    """Subscribes at a FHIR server. Close it, or use it as a context manager."""

    def __init__(self, fhir_url: str, *, settings: Settings | None = None) -> None:
        """``fhir_url`` is the base; ValueError for what is no URL."""
        url = f"{fhir_url.rstrip('/')}/Subscription"
        self._endpoint = HttpEndpoint(url, settings or Settings())

    def subscribe(
        self,
        endpoint: str,
        topic: str,
        filters: Sequence[str],
        *,
        content: str = "id-only",
        ends: str | None = None,
    ) -> str:
        """Have an endpoint be told of a topic; return the URL of the Subscription.

        ``topic`` is the end of the canonical URL, such as ``DocumentReference-PatientDependent``;
        ``filters`` are searches (:func:`patient_filter`), ``ends`` is an instant. FhirRefused,
        TransportFailed.
        """
        asked = _subscription(endpoint, topic, filters, content)
        if ends is not None:
            asked["end"] = ends
        body = json.dumps(asked).encode()
        headers = {"Accept": _FHIR_JSON}
        message = HttpRequest(
            content_type=_FHIR_JSON, length=len(body), blocks=[body], headers=headers
        )
        with self._endpoint.post(message) as answer:
            if answer.status != HTTPStatus.CREATED:
                raise FhirRefused(answer.status, _diagnostics(answer))
            return answer.location or ""

    def close(self) -> None:
        """Close the connections."""
        self._endpoint.close()


def patient_filter(patient_id: str) -> str:
    """Return the filter that names a patient (CX); ValueError for what is none."""
    patient = CX.parse(patient_id)
    return f"patient.identifier=urn:oid:{patient.assigning_authority}|{patient.id_number}"


def _subscription(
    endpoint: str, topic: str, filters: Sequence[str], content: str
) -> dict[str, Any]:
    return {
        "resourceType": "Subscription",
        "status": "requested",
        "reason": "asked for by xds",
        "criteria": _TOPIC + topic,
        "_criteria": {
            "extension": [{"url": f"{_BACKPORT}filter-criteria", "valueString": f} for f in filters]
        },
        "channel": {
            "type": "rest-hook",
            "endpoint": endpoint,
            "payload": _FHIR_JSON,
            "_payload": {
                "extension": [{"url": f"{_BACKPORT}payload-content", "valueCode": content}]
            },
        },
    }


def _diagnostics(answer: HttpResponse) -> list[str]:
    content = b""
    while len(content) < _MOST_OF_ANSWER and (block := answer.read(_BLOCK)):
        content += block
    try:
        issues = json.loads(content)["issue"]
        return [str(one["diagnostics"]) for one in issues if "diagnostics" in one]
    except (ValueError, KeyError, TypeError):
        return []
