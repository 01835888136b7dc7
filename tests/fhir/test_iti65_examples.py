"""The Provide Document Bundles of MHD 4.2.4 itself, answered as the guide means them.

The examples refer to a patient and to documents of a server of theirs. Here these are made known
first, and the references have the ids that this server gave.
"""

import json
from typing import Any

import pytest

from tests.fhir.published import (
    Deploy,
    Deployment,
    attachment,
    ids,
    locations,
    message,
    statuses,
    told,
)
from tests.reference import FHIR, needs
from xds.fhir.r4.resource import Resource
from xds.metadata import vocabulary as v
from xds.metadata.criteria import ANYTHING

FOLDER = FHIR / "mhd-4.2.4"
pytestmark = needs(FOLDER)

PATIENT = "M4001^^^&2.999.1.1&ISO"


def _example(name: str, there: Deployment) -> tuple[Resource, str]:
    """Return an example with this server's ids, and the id of the document that it refers to."""
    (_, known, _) = ids(there.provide(message("one_document")))
    with there.domain.registry.view(ANYTHING) as view:
        (patient,) = view.patients([PATIENT])
    text = (FOLDER / f"Bundle-ex-{name}.json").read_text()
    for theirs in ("Patient/ex-patient", "http://example.org/fhir/Patient/fdoc-patient"):
        text = text.replace(f'"{theirs}"', f'"Patient/{patient.number}"')
    for theirs in ("ex-documentreference", "ex-DocumentReferenceComprehensive"):
        text = text.replace(f'"DocumentReference/{theirs}"', f'"DocumentReference/{known}"')
    found: Resource = json.loads(text)
    return found, known


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("comprehensiveProvideDocumentBundleSimple", "List DocumentReference Binary"),
        ("comprehensiveProvideDocumentBundleComplete", "List DocumentReference List Binary"),
        ("comprehensiveProvideDocumentBundleDocument", "List DocumentReference Binary"),
        ("unContainedComprehensiveProvideDocumentBundleComplete", "List DocumentReference Binary"),
        ("ProvideDocumentBundle-addToFolder", "List DocumentReference List Binary"),
    ],
)
def test_an_example_is_published(deploy: Deploy, name: str, kinds: str) -> None:
    there = deploy()
    bundle, _ = _example(name, there)
    answer = there.provide(bundle)
    assert [location.partition("/")[0] for location in locations(answer)] == kinds.split()
    assert statuses(answer) == ["201 Created"] * len(bundle["entry"])


def test_the_replacement_replaces(deploy: Deploy) -> None:
    there = deploy()
    bundle, known = _example("comprehensiveProvideDocumentBundleReplace", there)
    answer = there.provide(bundle)
    assert statuses(answer) == ["201 Created", "200 OK", "201 Created", "201 Created"]
    assert locations(answer)[1] == f"DocumentReference/{known}"
    assert there.relations(ids(answer)[2]) == [("RPLC", known)]
    assert there.entry(known).thing.availability_status == v.DEPRECATED
    # its size of 24 is a slip: the document has 23 bytes
    assert attachment(bundle, 2)["size"] == 24
    assert there.entry(ids(answer)[2]).thing.size == "23"


def test_the_folder_gets_both_documents(deploy: Deploy) -> None:
    there = deploy()
    bundle, known = _example("ProvideDocumentBundle-addToFolder", there)
    _, document, folder, _ = ids(there.provide(bundle))
    assert there.members(folder) == [known, document]


def test_two_documents_of_one_unique_id_are_refused(deploy: Deploy) -> None:
    """The example gives two different documents one masterIdentifier, which XDS cannot hold."""
    there = deploy()
    bundle, _ = _example("comprehensiveProvideDocumentBundleMultiple", there)
    refused = there.refusal(bundle)
    assert refused.status == 400
    assert told(refused) == [
        (
            "duplicate",
            "XDSRegistryDuplicateUniqueIdInMessage",
            "Bundle.entry[1].resource.masterIdentifier",
        )
    ]
    bundle["entry"][2]["resource"]["masterIdentifier"]["value"] = "urn:oid:2.999.4.2.200"
    assert statuses(there.provide(bundle)) == ["201 Created"] * 5


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("minimalProvideDocumentBundleSimple", "List DocumentReference Binary Patient"),
        ("minimalProvideDocumentBundleSimpleContained", "List DocumentReference Binary"),
    ],
)
def test_minimal_metadata_is_for_the_deployment_to_accept(
    deploy: Deploy, name: str, kinds: str
) -> None:
    bundle, _ = _example(name, accepting := deploy())
    refusing = deploy(minimal_metadata="refuse")
    assert {issue.code for issue in refusing.refusal(bundle).issues} == {"required"}
    answer = accepting.provide(bundle)
    assert [location.partition("/")[0] for location in locations(answer)] == kinds.split()
    entry = accepting.entry(ids(answer)[1]).thing
    assert entry.limited_metadata is True
    assert accepting.document(entry) == b"Hello World"


def test_a_bundle_without_a_submission_set_is_refused(deploy: Deploy) -> None:
    bundle, _ = _example("dummyBundleDocAndBinary", there := deploy())
    expected: list[tuple[Any, ...]] = [
        ("required", "", "Bundle.meta.profile"),
        ("required", "", "Bundle"),
    ]
    assert told(there.refusal(bundle)) == expected


def test_the_simplified_publish_example_has_minimal_metadata(deploy: Deploy) -> None:
    path = FOLDER / "DocumentReference-ex-DocumentReferenceSimplifiedPublish.json"
    there = deploy()
    there.domain.identities.add(PATIENT)
    with there.domain.registry.view(ANYTHING) as view:
        (patient,) = view.patients([PATIENT])
    sent = json.loads(path.read_text().replace("Patient/ex-patient", f"Patient/{patient.number}"))
    answer = there.publish(sent)
    assert answer.status == 201
    entry = there.entry(answer.headers["Location"].rpartition("/")[2]).thing
    assert there.document(entry) == b"Hello World"
