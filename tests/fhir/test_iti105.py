"""ITI-105 Simplified Publish: one document within its DocumentReference (MHD 2:3.105)."""

import base64
import hashlib
from typing import Any

import pytest

from tests.fhir.asked import ANYONE
from tests.fhir.published import (
    BASE,
    NOTE,
    PATIENT,
    REGISTERED,
    Deploy,
    Deployment,
    message,
    told,
)
from xds.fhir.exchange import Call
from xds.fhir.r4.outcome import Issue
from xds.fhir.r4.resource import Resource
from xds.metadata import vocabulary as v
from xds.metadata.criteria import ANYTHING
from xds.metadata.objects import SubmissionSet
from xds.mhd.iti67_find_document_references import read

A = "DocumentReference.content[0].attachment"


def _reference(**changes: Any) -> Resource:
    """Return simplified_publish.json with elements set anew; None takes one away."""
    found = {**message("simplified_publish"), **changes}
    return {name: value for name, value in found.items() if value is not None}


def _attached(**changes: Any) -> Resource:
    found = message("simplified_publish")
    attachment = found["content"][0]["attachment"]
    for name, value in changes.items():
        attachment.pop(name, None)
        if value is not None:
            attachment[name] = value
    return found


def test_a_document_is_published(here: Deployment) -> None:
    answer = here.publish(_reference())
    assert answer.status == 201
    identifier = answer.headers["Location"].removeprefix(f"{BASE}/DocumentReference/")
    entry = here.entry(identifier).thing
    assert here.document(entry) == NOTE
    assert (entry.patient_id, entry.unique_id) == (PATIENT, "2.999.4.2.111")
    assert (entry.hash, entry.size) == (hashlib.sha1(NOTE).hexdigest(), str(len(NOTE)))


def test_the_answer_is_the_document_reference_as_it_is_read(here: Deployment) -> None:
    answer = here.publish(_reference())
    identifier = answer.headers["Location"].rpartition("/")[2]
    known = read(here.facade, Call(access=ANYONE, base=BASE, identifier=identifier))
    assert answer.resource == known.resource
    assert known.headers.items() <= answer.headers.items()
    assert answer.resource is not None
    attachment = answer.resource["content"][0]["attachment"]
    assert "data" not in attachment
    assert attachment["url"] == f"{BASE}/document/{identifier}"


def test_the_submission_set_has_what_the_document_says(here: Deployment) -> None:
    answer = here.publish(_reference())
    entry = here.entry(answer.headers["Location"].rpartition("/")[2]).thing
    with here.domain.registry.view(ANYTHING) as view:
        (found,) = view.find(SubmissionSet, [])
        submission_set = found.thing
    assert submission_set.author == entry.author
    assert submission_set.content_type_code == entry.type_code
    assert submission_set.patient_id == entry.patient_id
    assert submission_set.source_id == here.domain.repository.unique_id
    assert here.members(submission_set.id.removeprefix("urn:uuid:")) == [
        entry.id.removeprefix("urn:uuid:")
    ]


def test_a_client_may_prefer_no_resource(here: Deployment) -> None:
    answer = here.publish(_reference(), prefer={"return": "minimal"})
    assert (answer.status, answer.resource) == (201, None)
    assert answer.headers["Location"].startswith(f"{BASE}/DocumentReference/")


def test_a_client_may_prefer_an_outcome(here: Deployment) -> None:
    warning = Issue(code="structure", diagnostics="out of order", severity="warning")
    answer = here.publish(_reference(), prefer={"return": "OperationOutcome"}, warnings=(warning,))
    assert answer.resource is not None
    assert answer.resource["issue"][0]["diagnostics"] == "out of order"


def test_a_document_may_replace_another(here: Deployment) -> None:
    here.provide(message("one_document"))
    target = {"reference": f"DocumentReference/{REGISTERED}"}
    answer = here.publish(_reference(relatesTo=[{"code": "replaces", "target": target}]))
    assert here.relations(answer.headers["Location"].rpartition("/")[2]) == [("RPLC", REGISTERED)]
    assert here.entry(REGISTERED).thing.availability_status == v.DEPRECATED


@pytest.mark.parametrize("size", [None, len(NOTE) + 1])
def test_a_hash_that_fits_vouches_for_the_document(here: Deployment, size: int | None) -> None:
    digest = base64.b64encode(hashlib.sha1(NOTE).digest()).decode()
    assert here.publish(_attached(hash=digest, size=size)).status == 201


def _without(element: str) -> Resource:
    return _reference(**{element: None})


@pytest.mark.parametrize(
    ("sent", "status", "issue"),
    [
        (_without("masterIdentifier"), 400, ("required", "", "DocumentReference.masterIdentifier")),
        (_without("subject"), 400, ("required", "", "DocumentReference.subject")),
        (
            _reference(status="superseded"),
            400,
            ("value", "", "DocumentReference.status"),
        ),
        (
            _reference(
                identifier=[
                    {"system": "urn:ietf:rfc:3986", "value": f"urn:uuid:{REGISTERED}"},
                ]
            ),
            400,
            ("not-supported", "", "DocumentReference.identifier[0]"),
        ),
        (_attached(data=None), 400, ("required", "", f"{A}.data")),
        (_attached(url=f"{BASE}/document/x"), 400, ("not-supported", "", f"{A}.url")),
        (
            _attached(hash="2jmj7l5rSw0yVb/vlWAYkK/YBwk="),
            400,
            ("value", "XDSRepositoryMetadataError", f"{A}.hash"),
        ),
        (_attached(hash=None, size=7), 400, ("value", "XDSRepositoryMetadataError", f"{A}.size")),
        (
            _reference(subject={"reference": "Patient/99999"}),
            400,
            ("not-found", "XDSUnknownPatientId", "DocumentReference.subject"),
        ),
        (
            _reference(
                relatesTo=[{"code": "appends", "target": {"reference": "DocumentReference/17"}}]
            ),
            422,
            (
                "not-found",
                "UnresolvedReferenceException",
                "DocumentReference.relatesTo[0].target",
            ),
        ),
    ],
    ids=range(10),
)
def test_what_is_wrong_is_told_and_nothing_stored(
    here: Deployment, sent: Resource, status: int, issue: tuple[str, str, str]
) -> None:
    refused = here.refusal(sent)
    assert issue in told(refused)
    assert refused.status == status


def test_minimal_metadata_may_be_refused_by_an_option(deploy: Deploy) -> None:
    refused = deploy(minimal_metadata="refuse").refusal(_without("type"))
    assert told(refused) == [("required", "XDSRegistryMetadataError", "DocumentReference.type")]
    assert "minimal_metadata" in refused.issues[0].diagnostics


def test_minimal_metadata_is_accepted_by_default(deploy: Deploy) -> None:
    there = deploy()
    reference = _attached(language=None, creation=None)
    for name in ("type", "category", "securityLabel", "context", "date"):
        del reference[name]
    answer = there.publish(reference)
    assert there.entry(answer.headers["Location"].rpartition("/")[2]).thing.limited_metadata is True
    with there.domain.registry.view(ANYTHING) as view:
        (found,) = view.find(SubmissionSet, [])
        assert found.thing.limited_metadata is True


def test_errors_of_the_registry_are_told_of_the_resource(deploy: Deploy) -> None:
    there = deploy(unknown_patients="known")
    assert told(there.refusal(_reference())) == [
        ("not-found", "XDSUnknownPatientId", "DocumentReference")
    ]
