"""ITI-65 Provide Document Bundle: what is published (MHD 2:3.65)."""

import base64
import hashlib
from typing import Any

import pytest

from tests.fhir.changes import (
    IDENTIFIER,
    IN_BUNDLE,
    LOCAL,
    about,
    attached,
    patient_entry,
)
from tests.fhir.published import (
    FOLDER,
    NOTE,
    PATIENT,
    REGISTERED,
    Change,
    Deploy,
    Deployment,
    attachment,
    ids,
    locations,
    message,
    resource,
    statuses,
    warnings,
)
from xds.fhir.r4.resource import Resource
from xds.fhir.vocabulary import FHIR_XML
from xds.metadata import vocabulary as v
from xds.metadata.criteria import ANYTHING


@pytest.fixture
def with_note(here: Deployment) -> Deployment:
    """A deployment that has the document of one_document.json."""
    here.provide(message("one_document"))
    return here


# --- what is published ---------------------------------------------------------------------------


def test_a_document_is_published(here: Deployment) -> None:
    answer = here.provide(message("one_document"))
    submission_set, reference, binary = ids(answer)
    assert locations(answer) == [
        f"List/{submission_set}",
        f"DocumentReference/{REGISTERED}",
        f"Binary/{REGISTERED}",
    ]
    assert statuses(answer) == ["201 Created"] * 3
    assert answer["type"] == "transaction-response"
    assert answer["link"] == [{"relation": "self", "url": "https://hub.example/fhir"}]
    assert warnings(answer) == []
    entry = here.entry(reference).thing
    assert here.document(entry) == NOTE
    assert (entry.patient_id, entry.mime_type) == (PATIENT, "text/plain")
    assert (entry.hash, entry.size) == (hashlib.sha1(NOTE).hexdigest(), str(len(NOTE)))
    assert entry.repository_unique_id == here.domain.repository.unique_id
    assert not entry.limited_metadata
    found = here.submission_set(submission_set).thing
    assert (found.unique_id, found.source_id) == ("2.999.4.1.1", "2.999.1.8")
    assert found.submission_time == "20260304111500"
    assert here.members(submission_set) == [reference]
    assert binary == reference


def test_several_documents_are_one_submission(here: Deployment) -> None:
    answer = here.provide(message("several_documents"))
    submission_set, first, _, second, _ = ids(answer)
    assert here.members(submission_set) == [first, second]
    assert here.relations(second) == [("APND", first)]
    assert locations(answer)[4] == f"Binary/{second}"


def test_a_folder_is_made(here: Deployment) -> None:
    answer = here.provide(message("folder"))
    submission_set, document, _, folder = ids(answer)
    assert (folder, locations(answer)[3]) == (FOLDER, f"List/{FOLDER}")
    assert here.members(folder) == [document]
    assert here.members(submission_set) == [document, folder]
    assert here.folder(folder).thing.title == "Cardiology 2026"


def test_a_folder_is_added_to(with_note: Deployment) -> None:
    (_, held, *_) = ids(with_note.provide(message("folder")))
    answer = with_note.provide(message("add_to_folder"))
    submission_set, document, _, folder = ids(answer)
    assert folder == FOLDER
    assert statuses(answer) == ["201 Created", "201 Created", "201 Created", "200 OK"]
    assert with_note.members(FOLDER) == [held, document, REGISTERED] or with_note.members(
        FOLDER
    ) == [held, REGISTERED, document]
    assert with_note.members(submission_set) == [document]
    assert warnings(answer) == []


@pytest.mark.parametrize(
    "url", [f"List/{FOLDER}", "List?identifier=urn:ietf:rfc:3986%7Curn:oid:2.999.4.3.1"]
)
def test_a_folder_to_add_to_is_found_by(with_note: Deployment, url: str) -> None:
    with_note.provide(message("folder"))

    def change(bundle: Resource) -> None:
        bundle["entry"][3]["request"]["url"] = url
        del resource(bundle, 3)["identifier"]

    assert ids(with_note.provide(message("add_to_folder", change)))[3] == FOLDER


def test_a_folder_that_is_put_and_not_there_is_made(with_note: Deployment) -> None:
    def change(bundle: Resource) -> None:
        del resource(bundle, 3)["entry"][0]

    answer = with_note.provide(message("add_to_folder", change))
    submission_set, document, _, folder = ids(answer)
    assert statuses(answer)[3] == "201 Created"
    assert with_note.members(folder) == [REGISTERED, document]
    assert folder in with_note.members(submission_set)


def test_an_update_of_a_folder_only_adds(with_note: Deployment) -> None:
    (_, held, *_) = ids(with_note.provide(message("folder")))

    def change(bundle: Resource) -> None:
        folder = resource(bundle, 3)
        folder["title"] = "Another title"
        del folder["entry"][0]

    answer = with_note.provide(message("add_to_folder", change))
    assert [index for index, _ in warnings(answer)] == [3, 3]
    assert held in with_note.members(FOLDER)
    assert with_note.folder(FOLDER).thing.title == "Cardiology 2026"


def test_a_document_is_replaced_with_the_patch(with_note: Deployment) -> None:
    answer = with_note.provide(message("replace"))
    assert locations(answer)[1] == f"DocumentReference/{REGISTERED}"
    assert statuses(answer)[1] == "200 OK"
    new = ids(answer)[2]
    assert with_note.relations(new) == [("RPLC", REGISTERED)]
    assert with_note.entry(REGISTERED).thing.availability_status == v.DEPRECATED
    assert with_note.entry(new).thing.availability_status == v.APPROVED


def _without_patch(bundle: Resource) -> None:
    del bundle["entry"][1]


def test_a_document_is_replaced_without_the_patch(with_note: Deployment) -> None:
    answer = with_note.provide(message("replace", _without_patch))
    assert with_note.relations(ids(answer)[1]) == [("RPLC", REGISTERED)]
    assert with_note.entry(REGISTERED).thing.availability_status == v.DEPRECATED


@pytest.mark.parametrize(("name", "relation"), [("addendum", "APND"), ("transform", "XFRM")])
def test_a_document_is_related(with_note: Deployment, name: str, relation: str) -> None:
    answer = with_note.provide(message(name))
    assert with_note.relations(ids(answer)[1]) == [(relation, REGISTERED)]
    assert with_note.entry(REGISTERED).thing.availability_status == v.APPROVED


def test_a_transformation_that_replaces_is_one_association(with_note: Deployment) -> None:
    def change(bundle: Resource) -> None:
        target = {"identifier": {"system": "urn:ietf:rfc:3986", "value": "urn:oid:2.999.4.2.1"}}
        resource(bundle, 1)["relatesTo"].append({"code": "replaces", "target": target})

    answer = with_note.provide(message("transform", change))
    assert with_note.relations(ids(answer)[1]) == [("XFRM_RPLC", REGISTERED)]


@pytest.mark.parametrize(
    "target",
    [
        {"reference": f"DocumentReference/{REGISTERED}"},
        {"reference": f"DocumentReference/{REGISTERED.upper()}"},
        {"reference": f"https://hub.example/fhir/DocumentReference/{REGISTERED}"},
        {"reference": "DocumentReference?identifier=urn:ietf:rfc:3986|urn:oid:2.999.4.2.1"},
        {"reference": f"DocumentReference?identifier=urn:uuid:{REGISTERED}"},
        {"identifier": {"system": "urn:ietf:rfc:3986", "value": "urn:oid:2.999.4.2.1"}},
        {"identifier": {"value": "urn:oid:2.999.4.2.1"}},
        {
            "reference": "https://source.example/fhir/DocumentReference/1",
            "identifier": {"value": "urn:oid:2.999.4.2.1"},
        },
        {"identifier": {"system": "urn:ietf:rfc:3986", "value": f"urn:uuid:{REGISTERED}"}},
    ],
    ids=str,
)
def test_a_registered_document_is_referred_to_by(
    with_note: Deployment, target: dict[str, Any]
) -> None:
    def change(bundle: Resource) -> None:
        resource(bundle, 1)["relatesTo"][0]["target"] = target

    answer = with_note.provide(message("addendum", change))
    assert with_note.relations(ids(answer)[1]) == [("APND", REGISTERED)]


def test_a_registered_document_is_shared_anew(with_note: Deployment) -> None:
    def change(bundle: Resource) -> None:
        del bundle["entry"][1:]
        submission_set = resource(bundle, 0)
        submission_set["identifier"][0]["value"] = "urn:oid:2.999.4.1.12"
        submission_set["entry"][0]["item"]["reference"] = f"DocumentReference/{REGISTERED}"

    answer = with_note.provide(message("one_document", change))
    assert with_note.members(ids(answer)[0]) == [REGISTERED]


@pytest.mark.parametrize(
    ("content_type", "media_type", "start"),
    [
        ("application/fhir+json", "application/fhir+json", b'{"resourceType":"Bundle"'),
        ("application/fhir+xml", FHIR_XML, b"<Bundle"),
    ],
)
def test_a_fhir_document_is_published(
    here: Deployment, content_type: str, media_type: str, start: bytes
) -> None:
    def change(bundle: Resource) -> None:
        attachment(bundle)["contentType"] = content_type

    answer = here.provide(message("fhir_document", change), media_type=media_type)
    entry = here.entry(ids(answer)[1]).thing
    assert start in here.document(entry)[:60]
    assert entry.mime_type == content_type
    assert locations(answer)[2] == f"Binary/{ids(answer)[1]}"


def test_a_document_manifest_is_a_submission_set(here: Deployment) -> None:
    answer = here.provide(message("manifest"))
    assert locations(answer)[0].startswith("List/")
    found = here.submission_set(ids(answer)[0]).thing
    assert (found.unique_id, found.source_id) == ("2.999.4.1.10", "2.999.1.8")
    assert found.submission_time == "20260304111500"
    assert here.members(found.id.removeprefix("urn:uuid:")) == [ids(answer)[1]]


@pytest.mark.parametrize(
    "profile",
    [
        "https://profiles.ihe.net/ITI/MHD/StructureDefinition/IHE.MHD.Comprehensive.ProvideBundle",
        "https://profiles.ihe.net/ITI/MHD/StructureDefinition/"
        "IHE.MHD.UnContained.Comprehensive.ProvideBundle|4.2.4",
        "http://profiles.ihe.net/ITI/MHD/StructureDefinition/IHE.MHD.Comprehensive.ProvideBundle",
        "https://ihe.net/fhir/StructureDefinition/IHE_MHD_Provide_Comprehensive_DocumentBundle",
    ],
)
def test_a_profile_of_any_version_will_do(here: Deployment, profile: str) -> None:
    def change(bundle: Resource) -> None:
        bundle["meta"]["profile"] = ["http://example.org/another", profile]

    here.provide(message("one_document", change))


# --- identifiers that clients may leave out ------------------------------------------------------


def test_a_submission_set_without_unique_id_gets_one(here: Deployment) -> None:
    def change(bundle: Resource) -> None:
        del resource(bundle, 0)["identifier"]

    answer = here.provide(message("one_document", change))
    unique_id = here.submission_set(ids(answer)[0]).thing.unique_id
    assert unique_id is not None
    assert unique_id.startswith("2.25.")


def test_an_entry_uuid_in_use_is_not_taken(with_note: Deployment) -> None:
    def change(bundle: Resource) -> None:
        resource(bundle, 0)["identifier"][0]["value"] = "urn:oid:2.999.4.1.13"

    answer = with_note.provide(message("one_document", change))
    assert ids(answer)[1] != REGISTERED
    assert [index for index, _ in warnings(answer)] == [1]


# --- patients ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "status"),
    [
        (about({"identifier": IDENTIFIER}), None),
        (about({"reference": "Patient/{number}"}), None),
        (about({"reference": "https://hub.example/fhir/Patient/{number}"}), None),
        (about({"reference": "Patient?identifier=urn:oid:2.999.1.1|M4001"}), None),
        (
            about({"reference": IN_BUNDLE}, patient_entry("POST", "Patient", IDENTIFIER)),
            "201 Created",
        ),
        (
            about({"reference": IN_BUNDLE}, patient_entry("POST", "Patient", LOCAL, IDENTIFIER)),
            "201 Created",
        ),
        (
            about({"reference": IN_BUNDLE}, patient_entry("PUT", "Patient/{number}", IDENTIFIER)),
            "200 OK",
        ),
        (about({"reference": IN_BUNDLE}, patient_entry("GET", "Patient/{number}")), "200 OK"),
        (
            about(
                {"reference": IN_BUNDLE},
                patient_entry("GET", "Patient?identifier=urn:oid:2.999.1.1%7CM4001"),
            ),
            "200 OK",
        ),
        (about({"reference": "https://a.example/Patient/1", "identifier": IDENTIFIER}), None),
        (about({"reference": "Patient/99999", "identifier": IDENTIFIER}), None),
    ],
    ids=range(11),
)
def test_the_patient_is_found_by(here: Deployment, change: Change, status: str | None) -> None:
    here.domain.identities.add(PATIENT)
    with here.domain.registry.view(ANYTHING) as view:
        (known,) = view.patients([PATIENT])

    def with_number(bundle: Resource) -> None:
        for index in (0, 1):
            subject = resource(bundle, index)["subject"]
            if "reference" in subject:
                reference = subject["reference"].replace("{number}", str(known.number))
                resource(bundle, index)["subject"] = {**subject, "reference": reference}
        request = bundle["entry"][-1]["request"]
        number = str(known.number)
        bundle["entry"][-1]["request"] = {
            **request,
            "url": request["url"].replace("{number}", number),
        }

    answer = here.provide(message("one_document", change, with_number))
    assert here.entry(REGISTERED).thing.patient_id == PATIENT
    if status is not None:
        assert statuses(answer)[3] == status
        assert locations(answer)[3] == f"Patient/{known.number}"
    if status == "200 OK" and "resource" in answer["entry"][3]:
        assert answer["entry"][3]["resource"]["identifier"] == [IDENTIFIER]


def test_of_several_identifiers_that_of_the_domain_counts(deploy: Deploy) -> None:
    there = deploy(assigning_authority="2.999.1.1")
    change = about({"reference": IN_BUNDLE}, patient_entry("POST", "Patient", LOCAL, IDENTIFIER))
    there.provide(message("one_document", change))
    assert there.entry(REGISTERED).thing.patient_id == PATIENT


OF_BOTH = about({"reference": IN_BUNDLE}, patient_entry("POST", "Patient", LOCAL, IDENTIFIER))


def test_without_a_domain_several_identifiers_are_ambiguous(here: Deployment) -> None:
    refused = here.refusal(message("one_document", OF_BOTH))
    (issue,) = refused.issues
    assert (issue.code, issue.error_code) == ("multiple-matches", "XDSUnknownPatientId")
    assert issue.expression == ("Bundle.entry[3].resource.identifier",)
    for said in (LOCAL["system"], IDENTIFIER["system"], "assigning_authority"):
        assert said in issue.diagnostics
    for value in (LOCAL["value"], IDENTIFIER["value"]):
        assert value not in issue.diagnostics
        assert value not in str(refused)


def test_without_a_domain_the_only_known_patient_counts(here: Deployment) -> None:
    here.domain.identities.add(PATIENT)
    here.provide(message("one_document", OF_BOTH))
    assert here.entry(REGISTERED).thing.patient_id == PATIENT


@pytest.mark.parametrize("authority", [None, "2.999.1.1"])
def test_an_identifier_that_is_old_never_counts(deploy: Deploy, authority: str | None) -> None:
    there = deploy(assigning_authority=authority)
    old = {**IDENTIFIER, "use": "old", "value": "M-before"}
    there.domain.identities.add("M-before^^^&2.999.1.1&ISO")
    entry = patient_entry("POST", "Patient", old, IDENTIFIER)
    there.provide(message("one_document", about({"reference": IN_BUNDLE}, entry)))
    assert there.entry(REGISTERED).thing.patient_id == PATIENT
    (issue,) = there.refusal(
        message(
            "one_document",
            about({"reference": IN_BUNDLE}, patient_entry("POST", "Patient", old)),
        )
    ).issues
    assert "use is old" in issue.diagnostics


def test_a_contained_patient_is_a_subject(here: Deployment) -> None:
    def change(bundle: Resource) -> None:
        for index in (0, 1):
            found = resource(bundle, index)
            found["contained"].append(
                {"resourceType": "Patient", "id": "whose", "identifier": [IDENTIFIER]}
            )
            found["subject"] = {"reference": "#whose"}

    here.provide(message("one_document", change))
    assert here.entry(REGISTERED).thing.patient_id == PATIENT


# --- Minimal Metadata ----------------------------------------------------------------------------


def test_minimal_metadata_is_refused_by_its_missing_attributes(deploy: Deploy) -> None:
    refused = deploy(minimal_metadata="refuse").refusal(message("minimal"))
    assert refused.status == 400
    assert {issue.code for issue in refused.issues} == {"required"}
    missing = {expression for issue in refused.issues for expression in issue.expression}
    assert "Bundle.entry[1].resource.type" in missing
    assert "Bundle.entry[1].resource.context.practiceSetting" in missing
    assert all("minimal_metadata" in issue.diagnostics for issue in refused.issues)


def test_what_minimal_metadata_needs_too_is_not_put_down_to_the_option(here: Deployment) -> None:
    def change(bundle: Resource) -> None:
        attachment(bundle).pop("contentType")

    refused = here.refusal(message("minimal", change))
    assert not [one for one in refused.issues if "minimal_metadata" in one.diagnostics]


def _without_source_patient(bundle: Resource) -> None:
    del resource(bundle, 1)["context"]["sourcePatientInfo"]


def test_comprehensive_metadata_have_the_patient_of_the_source(
    here: Deployment, deploy: Deploy
) -> None:
    sent = message("one_document", _without_source_patient)
    (issue,) = deploy(minimal_metadata="refuse").refusal(sent).issues
    assert issue.expression == ("Bundle.entry[1].resource.context.sourcePatientInfo",)
    assert "minimal_metadata" in issue.diagnostics
    here.provide(sent)
    assert here.entry(REGISTERED).thing.source_patient_id == PATIENT


def test_minimal_metadata_is_accepted_by_default(here: Deployment) -> None:
    there = here
    answer = there.provide(message("minimal"))
    entry = there.entry(ids(answer)[1]).thing
    assert entry.limited_metadata is True
    assert entry.patient_id == PATIENT
    assert there.document(entry) == NOTE
    assert there.submission_set(ids(answer)[0]).thing.limited_metadata is True


@pytest.mark.parametrize("policy", ["refuse", "accept"])
def test_minimal_metadata_that_is_complete_is_registered_as_any_other(
    deploy: Deploy, policy: str
) -> None:
    there = deploy(minimal_metadata=policy)
    answer = there.provide(message("one_document", _minimal))
    assert there.entry(ids(answer)[1]).thing.limited_metadata is None


def _minimal(bundle: Resource) -> None:
    profile = bundle["meta"]["profile"][0]
    bundle["meta"]["profile"] = [profile.replace("Comprehensive", "Minimal")]


@pytest.mark.parametrize("index", [0, 1])
def test_a_subject_is_taken_from_the_others(here: Deployment, index: int) -> None:
    def change(bundle: Resource) -> None:
        del resource(bundle, index)["subject"]

    here.provide(message("one_document", _minimal, change))
    assert here.entry(REGISTERED).thing.patient_id == PATIENT


def test_a_patient_without_identifier_gets_one_where_anyone_may_come(deploy: Deploy) -> None:
    there = deploy(minimal_metadata="accept", assigning_authority="2.999.1.1")

    def change(bundle: Resource) -> None:
        del resource(bundle, 3)["identifier"]

    answer = there.provide(message("minimal", change))
    patient_id = there.entry(ids(answer)[1]).thing.patient_id
    assert patient_id is not None
    assert patient_id.endswith("^^^&2.999.1.1&ISO")
    with there.domain.registry.view(ANYTHING) as view:
        (known,) = view.patients([patient_id])
    assert locations(answer)[3] == f"Patient/{known.number}"
    (told,) = [
        issue
        for entry in answer["entry"]
        for issue in entry["response"].get("outcome", {}).get("issue", ())
        if "was given a new one of 2.999.1.1" in issue["diagnostics"]
    ]
    assert (told["severity"], told["expression"]) == ("warning", ["Bundle.entry[3].resource"])
    assert patient_id.partition("^")[0] not in told["diagnostics"]


# --- documents -----------------------------------------------------------------------------------


HEX = base64.b64encode(hashlib.sha1(NOTE).hexdigest().encode()).decode()


@pytest.mark.parametrize(
    ("change", "warned"),
    [
        (attached(hash=None, size=None), 0),
        (attached(hash=HEX), 0),
        (attached(size=len(NOTE) + 1), 1),
        (attached(hash=None), 0),
        (attached(contentType="text/plain; charset=utf-8"), 0),
    ],
)
def test_hash_and_size_have_their_tolerances(here: Deployment, change: Change, warned: int) -> None:
    answer = here.provide(message("one_document", change))
    assert len(warnings(answer)) == warned
    entry = here.entry(REGISTERED).thing
    assert (entry.hash, entry.size) == (hashlib.sha1(NOTE).hexdigest(), str(len(NOTE)))


def test_base64_may_have_white_space(here: Deployment) -> None:
    def change(bundle: Resource) -> None:
        binary = resource(bundle, 2)
        binary["data"] = "\r\n".join(
            binary["data"][i : i + 8] for i in range(0, len(binary["data"]), 8)
        )

    here.provide(message("one_document", change))
    assert here.document(here.entry(REGISTERED).thing) == NOTE


def test_an_empty_document_is_published(here: Deployment) -> None:
    def change(bundle: Resource) -> None:
        attachment(bundle).update(size=0, hash="2jmj7l5rSw0yVb/vlWAYkK/YBwk=")
        del resource(bundle, 2)["data"]

    here.provide(message("one_document", change))
    assert here.document(here.entry(REGISTERED).thing) == b""
