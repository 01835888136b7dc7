"""The response to a message (FHIR R4, Messaging 2.4.4): a Bundle with a MessageHeader."""

from collections.abc import Sequence
from typing import Any, Final
from uuid import NAMESPACE_URL, uuid4, uuid5

from xds.fhir.datatypes import times
from xds.fhir.datatypes.identifiers import resource_id
from xds.fhir.r4.resource import Resource
from xds.messaging.incoming import FilingOutcome
from xds.messaging.verdicts import MessageFinding
from xds.metadata import datatypes

_SOFTWARE: Final = "XDS.b Document Registry and Repository"
_RESPONSE: Final = uuid5(NAMESPACE_URL, "urn:xds:message-response")

TRANSIENT: Final = "transient-error"
"""MessageHeader.response.code: nothing was stored, and the message is to come again."""


def response_code(outcome: FilingOutcome) -> str:
    """Return MessageHeader.response.code (FHIR R4, response-code).

    One that another attempt cannot mend decides where there are several.
    """
    refusals = outcome.refusals
    if not refusals:
        return "ok"
    if all(one.verdict.is_transient for one in refusals):
        return TRANSIENT
    return "fatal-error"


def response(header: Resource, request_id: str, outcome: FilingOutcome, base: str) -> Resource:
    """Return the response message to a request.

    The id of a repeated answer differs from that of the first; what it says does not.
    """
    details = operation_outcome(outcome)
    url = f"urn:uuid:{uuid5(_RESPONSE, f'{outcome.record_id} {request_id}')}"
    said: Resource = {
        "resourceType": "MessageHeader",
        "id": str(uuid4()),
        **_event(header),
        **_exchanged(header, base),
        "response": {
            "identifier": request_id,
            "code": response_code(outcome),
            "details": {"reference": url},
        },
    }
    focus = _focus(outcome, base)
    if focus:
        said["focus"] = focus
    return {
        "resourceType": "Bundle",
        "id": str(uuid4()),
        "type": "message",
        "timestamp": times.instant(datatypes.now()),
        "entry": [
            {"fullUrl": f"urn:uuid:{said['id']}", "resource": said},
            {"fullUrl": url, "resource": details},
        ],
    }


def operation_outcome(outcome: FilingOutcome) -> Resource:
    """Return what was found, or that all is well."""
    issues = [_issue(one) for one in outcome.findings]
    if outcome.is_accepted:
        told = "the message was filed" if outcome.documents else "the message was accepted"
        if outcome.is_replay:
            told = "the message came before, and this is its answer"
        issues.append({"severity": "information", "code": "informational", "diagnostics": told})
    return {"resourceType": "OperationOutcome", "issue": issues}


def _issue(one: MessageFinding) -> Resource:
    found: Resource = {
        "severity": "warning" if one.is_warning else "error",
        "code": one.verdict.issue,
        "diagnostics": f"{one.verdict.name}: {one.reason}" if one.reason else one.verdict.name,
    }
    if one.location:
        found["expression"] = [one.location]
    return found


def _event(header: Resource) -> Resource:
    return {name: header[name] for name in ("eventCoding", "eventUri") if name in header}


def _exchanged(header: Resource, base: str) -> Resource:
    """Return the two ends, exchanged."""
    source = header.get("source") or {}
    to: dict[str, Any] = {"endpoint": source.get("endpoint") or "urn:xds:unknown"}
    if source.get("name"):
        to["name"] = source["name"]
    if header.get("sender"):
        to["receiver"] = header["sender"]
    found: Resource = {
        "destination": [to],
        "source": {"software": _SOFTWARE, "endpoint": f"{base}/$process-message"},
    }
    destinations: Sequence[Any] = header.get("destination") or ()
    if destinations and destinations[0].get("receiver"):
        found["sender"] = destinations[0]["receiver"]
    return found


def _focus(outcome: FilingOutcome, base: str) -> list[Resource]:
    """Return references to the documents that the message made or changed."""
    uuids = dict.fromkeys(one.entry_uuid for one in outcome.documents)
    return [
        {"reference": f"{base}/DocumentReference/{resource_id(one)}"}
        for one in uuids
        if outcome.is_accepted
    ]
