"""ITI-65 Provide Document Bundle: what does not fit what is registered (MHD 2:3.65)."""

import pytest

from tests.fhir.changes import (
    A1,
    IDENTIFIER,
    R1,
    UNKNOWN,
    about,
    attached,
    put,
)
from tests.fhir.published import (
    FOLDER,
    PATIENT,
    Change,
    Deploy,
    Deployment,
    attachment,
    message,
    resource,
    told,
)
from xds.fhir.r4.resource import Resource
from xds.metadata.criteria import ANYTHING


@pytest.fixture
def with_note(here: Deployment) -> Deployment:
    """A deployment that has the document of one_document.json."""
    here.provide(message("one_document"))
    return here


def test_a_document_is_not_published_twice_with_other_bytes(with_note: Deployment) -> None:
    def change(bundle: Resource) -> None:
        resource(bundle, 0)["identifier"][0]["value"] = "urn:oid:2.999.4.1.14"
        del attachment(bundle)["hash"], attachment(bundle)["size"]
        resource(bundle, 2)["data"] = "SGVsbG8="

    refused = with_note.refusal(message("one_document", change))
    assert refused.status == 409
    assert ("conflict", "XDSNonIdenticalHash", f"{R1}.content.attachment.hash") in told(refused)


def test_a_submission_is_not_made_twice(with_note: Deployment) -> None:
    refused = with_note.refusal(message("one_document"))
    assert refused.status == 409
    assert told(refused) == [
        ("duplicate", "XDSDuplicateUniqueIdInRegistry", "Bundle.entry[0].resource.identifier")
    ]


def test_a_replaced_document_is_not_replaced_again(with_note: Deployment) -> None:
    with_note.provide(message("replace"))

    def change(bundle: Resource) -> None:
        resource(bundle, 0)["identifier"][0]["value"] = "urn:oid:2.999.4.1.15"
        resource(bundle, 2)["masterIdentifier"]["value"] = "urn:oid:2.999.4.2.151"

    refused = with_note.refusal(message("replace", change))
    assert refused.status == 422
    assert ("business-rule", "XDSRegistryDeprecatedDocumentError") in [
        row[:2] for row in told(refused)
    ]


PATCHED = "Bundle.entry[1].resource"
NEW = "entry.1.resource.parameter.0.part"


@pytest.mark.parametrize(
    ("change", "status", "issue"),
    [
        (put(f"{NEW}.2.valueCode", "entered-in-error"), 400, ("not-supported", "", PATCHED)),
        (
            put(f"{NEW}.0.valueString", "DocumentReference.type"),
            400,
            ("not-supported", "", PATCHED),
        ),
        (put("entry.2.resource.relatesTo", None), 400, ("business-rule", "", PATCHED)),
        (
            put("entry.1.request.url", f"DocumentReference/{UNKNOWN[9:]}"),
            400,
            ("business-rule", "", PATCHED),
        ),
        (
            put("entry.1.request.url", "DocumentReference"),
            400,
            ("value", "", "Bundle.entry[1].request.url"),
        ),
    ],
    ids=["another status", "another element", "nothing replaces", "another document", "no id"],
)
def test_a_patch_belongs_to_a_replacement(
    with_note: Deployment, change: Change, status: int, issue: tuple[str, str, str]
) -> None:
    refused = with_note.refusal(message("replace", change))
    assert issue in told(refused)
    assert refused.status == status


@pytest.mark.parametrize(
    ("change", "status", "issue"),
    [
        (
            put("entry.3.request.url", f"List/{UNKNOWN[9:]}"),
            422,
            ("not-found", "", "Bundle.entry[3].request.url"),
        ),
        (
            put("entry.3.request.url", "List?title=Cardiology"),
            400,
            ("not-supported", "", "Bundle.entry[3].request.url"),
        ),
        (
            put("entry.3.resource.status", "retired"),
            400,
            ("value", "", "Bundle.entry[3].resource.status"),
        ),
        (
            put("entry.3.resource.subject.identifier.value", "M4002"),
            400,
            ("invariant", "XDSPatientIdDoesNotMatch", "Bundle.entry[3].resource.subject"),
        ),
        (
            put("entry.3.resource.entry.0.item", {"reference": f"List/{FOLDER}"}),
            400,
            ("value", "", "Bundle.entry[3].resource.entry[0].item"),
        ),
    ],
    ids=["unknown", "another search", "retired", "another patient", "a folder in it"],
)
def test_an_update_of_a_folder_is_refused(
    with_note: Deployment, change: Change, status: int, issue: tuple[str, str, str]
) -> None:
    with_note.provide(message("folder"))
    refused = with_note.refusal(message("add_to_folder", change))
    assert issue in told(refused)
    assert refused.status == status


def test_a_registered_folder_is_no_member_of_a_new_set(with_note: Deployment) -> None:
    with_note.provide(message("folder"))

    def change(bundle: Resource) -> None:
        item = {"item": {"reference": f"List/{FOLDER}"}}
        resource(bundle, 0)["entry"].append(item)

    refused = with_note.refusal(message("addendum", change))
    assert told(refused) == [
        ("invalid", "XDSRegistryMetadataError", "Bundle.entry[0].resource.entry[1].item")
    ]


def test_a_reference_beside_the_identifier_of_another_is_refused(here: Deployment) -> None:
    other = "M4002^^^&2.999.1.1&ISO"
    here.domain.identities.add(other)
    with here.domain.registry.view(ANYTHING) as view:
        (known,) = view.patients([other])
    subject = {"reference": f"Patient/{known.number}", "identifier": IDENTIFIER}
    refused = here.refusal(message("one_document", about(subject)))
    assert ("invariant", "XDSPatientIdDoesNotMatch", f"{R1}.subject") in told(refused)


def test_an_unknown_patient_is_refused_where_patients_must_be_known(deploy: Deploy) -> None:
    there = deploy(unknown_patients="known")
    refused = there.refusal(message("one_document"))
    assert refused.status == 400
    where = "Bundle.entry[0].resource.subject"
    assert told(refused) == [("not-found", "XDSUnknownPatientId", where)]


def test_a_merged_patient_is_refused(with_note: Deployment) -> None:
    with_note.domain.identities.add("M4009^^^&2.999.1.1&ISO")
    with_note.domain.identities.merge(subsumed=PATIENT, surviving="M4009^^^&2.999.1.1&ISO")

    def change(bundle: Resource) -> None:
        resource(bundle, 0)["identifier"][0]["value"] = "urn:oid:2.999.4.1.16"

    refused = with_note.refusal(message("one_document", change))
    assert ("not-found", "XDSUnknownPatientId") in [row[:2] for row in told(refused)]


def test_a_manifest_is_told_of_by_its_own_elements(here: Deployment) -> None:
    change = put("entry.0.resource.content.0.reference", UNKNOWN)
    refused = here.refusal(message("manifest", change))
    assert ("not-found", "", "Bundle.entry[0].resource.content[0]") in told(refused)


@pytest.mark.parametrize(
    ("change", "expression"),
    [
        (attached(contentType="text/plain"), f"{A1}.contentType"),
        (put("entry.2.resource.timestamp", None), "Bundle.entry[2].resource.timestamp"),
    ],
)
def test_a_fhir_document_must_be_one(here: Deployment, change: Change, expression: str) -> None:
    refused = here.refusal(message("fhir_document", change))
    assert expression in [row[2] for row in told(refused)]
