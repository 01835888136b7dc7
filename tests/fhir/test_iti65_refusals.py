"""ITI-65 Provide Document Bundle: what is refused, and where that is told (MHD 2:3.65)."""

from pathlib import Path

import pytest

from tests.fhir.changes import (
    A1,
    IDENTIFIER,
    IN_BUNDLE,
    R1,
    UNKNOWN,
    about,
    added,
    attached,
    copied,
    patient_entry,
    put,
)
from tests.fhir.published import (
    Change,
    Deploy,
    Deployment,
    message,
    told,
)

REFUSED: list[tuple[str, Change, int, tuple[str, str, str]]] = [
    ("type", put("type", "batch"), 400, ("value", "", "Bundle.type")),
    ("no profile", put("meta", None), 400, ("required", "", "Bundle.meta.profile")),
    (
        "unknown profile",
        put("meta.profile", ["http://example.org/profile"]),
        400,
        ("value", "", "Bundle.meta.profile"),
    ),
    ("no submission set", put("entry.0", None), 400, ("required", "", "Bundle")),
    (
        "two submission sets",
        copied(0),
        400,
        ("invalid", "", "Bundle.entry[3].resource"),
    ),
    (
        "fullUrl twice",
        put("entry.2.fullUrl", "urn:uuid:4d480000-0000-4000-8000-000000000002"),
        400,
        ("duplicate", "", "Bundle.entry[1].fullUrl"),
    ),
    (
        "unknown kind",
        added(
            {
                "resource": {"resourceType": "Basic", "code": {"text": "x"}},
                "request": {"method": "POST", "url": "Basic"},
            }
        ),
        400,
        ("not-supported", "", "Bundle.entry[3].resource"),
    ),
    (
        "list of another kind",
        put("entry.0.resource.code.coding.0.code", "problems"),
        400,
        ("not-supported", "", "Bundle.entry[0].resource"),
    ),
    (
        "method",
        put("entry.1.request.method", "PUT"),
        400,
        ("not-supported", "", "Bundle.entry[1].request.method"),
    ),
    (
        "url",
        put("entry.1.request.url", "List"),
        400,
        ("value", "", "Bundle.entry[1].request.url"),
    ),
    (
        "patient asked for without id",
        added(patient_entry("GET", "Patient")),
        400,
        ("value", "", "Bundle.entry[3].request.url"),
    ),
    (
        "conditional create",
        put("entry.1.request.ifNoneExist", "identifier=x"),
        400,
        ("not-supported", "", "Bundle.entry[1].request.ifNoneExist"),
    ),
    (
        "not listed",
        put("entry.0.resource.entry", None),
        400,
        ("required", "", R1),
    ),
    (
        "superseded",
        put("entry.1.resource.status", "superseded"),
        400,
        ("value", "", f"{R1}.status"),
    ),
    (
        "no masterIdentifier",
        put("entry.1.resource.masterIdentifier", None),
        400,
        ("required", "", f"{R1}.masterIdentifier"),
    ),
    (
        "no type",
        put("entry.1.resource.type", None),
        400,
        ("required", "XDSRegistryMetadataError", f"{R1}.type"),
    ),
    (
        "no sourceId",
        put("entry.0.resource.extension.1", None),
        400,
        (
            "required",
            "XDSRegistryMetadataError",
            "Bundle.entry[0].resource.extension"
            "('https://profiles.ihe.net/ITI/MHD/StructureDefinition/ihe-sourceId').value",
        ),
    ),
    (
        "no subject",
        put("entry.1.resource.subject", None),
        400,
        ("required", "", f"{R1}.subject"),
    ),
    (
        "patient by a system without OID",
        put("entry.1.resource.subject", {"identifier": {"system": "http://x.org", "value": "1"}}),
        400,
        ("value", "XDSUnknownPatientId", f"{R1}.subject.identifier"),
    ),
    (
        "unknown patient",
        put("entry.1.resource.subject", {"reference": "Patient/ex-patient"}),
        400,
        ("not-found", "XDSUnknownPatientId", f"{R1}.subject"),
    ),
    (
        "patient elsewhere",
        put("entry.1.resource.subject", {"reference": "http://elsewhere.example/Patient/1"}),
        400,
        ("not-found", "XDSUnknownPatientId", f"{R1}.subject"),
    ),
    (
        "patient that a search does not find",
        put("entry.1.resource.subject", {"reference": "Patient?identifier=urn:oid:2.999.1.1|X"}),
        412,
        ("not-found", "XDSUnknownPatientId", f"{R1}.subject"),
    ),
    (
        "patient by another search",
        put("entry.1.resource.subject", {"reference": "Patient?family=Haddad"}),
        400,
        ("not-supported", "", f"{R1}.subject"),
    ),
    (
        "subject that dangles",
        put("entry.1.resource.subject", {"reference": UNKNOWN}),
        400,
        ("not-found", "", f"{R1}.subject"),
    ),
    (
        "subject that is no patient",
        put("entry.1.resource.subject", {"reference": "Group/1"}),
        400,
        ("value", "", f"{R1}.subject"),
    ),
    (
        "another patient",
        put("entry.1.resource.subject.identifier.value", "M4002"),
        400,
        ("invariant", "XDSPatientIdDoesNotMatch", f"{R1}.subject"),
    ),
    (
        "language that is none",
        attached(language="plain English"),
        400,
        ("invalid", "XDSRegistryMetadataError", f"{R1}.content.attachment.language"),
    ),
    (
        "service that ends before it begins",
        put("entry.1.resource.context.period", {"start": "2026-03-05", "end": "2026-03-01"}),
        400,
        ("invalid", "XDSRegistryMetadataError", f"{R1}.context.period.start"),
    ),
    (
        "title that no answer by SOAP could hold",
        attached(title="x" * 1025),
        400,
        ("too-long", "XDSRegistryMetadataError", f"{R1}.content.attachment.title"),
    ),
    (
        "display that no answer by SOAP could hold",
        put("entry.1.resource.type.coding.0.display", "x" * 1025),
        400,
        ("too-long", "XDSRegistryMetadataError", f"{R1}.type"),
    ),
    (
        "name that no answer by SOAP could hold",
        put("entry.1.resource.contained.1.name.0.family", "x" * 257),
        400,
        ("too-long", "XDSRegistryMetadataError", f"{R1}.author"),
    ),
    (
        "uniqueId that no answer by SOAP could hold",
        put("entry.1.resource.masterIdentifier.value", "http://example.org/" + "x" * 240),
        400,
        ("too-long", "XDSRegistryMetadataError", f"{R1}.masterIdentifier"),
    ),
    (
        "what changes the meaning of a document",
        put(
            "entry.1.resource.modifierExtension",
            [{"url": "http://example.org/refuted", "valueBoolean": True}],
        ),
        400,
        ("extension", "", f"{R1}.modifierExtension"),
    ),
    (
        "what changes the meaning of an entry of a List",
        put(
            "entry.0.resource.entry.0.modifierExtension",
            [{"url": "http://example.org/refuted", "valueBoolean": True}],
        ),
        400,
        ("extension", "", "Bundle.entry[0].resource.entry[0].modifierExtension"),
    ),
    (
        "a Patient without identifier",
        about({"reference": IN_BUNDLE}, patient_entry("POST", "Patient", {"value": "1"})),
        400,
        ("value", "XDSUnknownPatientId", "Bundle.entry[3].resource.identifier"),
    ),
    (
        "a Patient of somebody else",
        added(patient_entry("POST", "Patient", {**IDENTIFIER, "value": "M4002"})),
        400,
        ("invariant", "XDSPatientIdDoesNotMatch", "Bundle.entry[3].resource"),
    ),
    (
        "hash",
        attached(hash="2jmj7l5rSw0yVb/vlWAYkK/YBwk="),
        400,
        ("value", "XDSRepositoryMetadataError", f"{A1}.hash"),
    ),
    (
        "size without hash",
        attached(hash=None, size=7),
        400,
        ("value", "XDSRepositoryMetadataError", f"{A1}.size"),
    ),
    (
        "content type",
        attached(contentType="text/html"),
        400,
        ("value", "", f"{A1}.contentType"),
    ),
    ("no url", attached(url=None), 400, ("required", "", f"{A1}.url")),
    (
        "url that dangles",
        attached(url=UNKNOWN),
        400,
        ("not-found", "XDSMissingDocument", f"{A1}.url"),
    ),
    (
        "url of no document",
        attached(url="urn:uuid:4d480000-0000-4000-8000-000000000001"),
        400,
        ("value", "XDSMissingDocument", f"{A1}.url"),
    ),
    (
        "url of another server",
        attached(url="http://127.0.0.1:9/latest/meta-data"),
        400,
        ("forbidden", "", f"{A1}.url"),
    ),
    (
        "url of a file",
        attached(url="file:///etc/passwd"),
        400,
        ("not-found", "XDSMissingDocument", f"{A1}.url"),
    ),
    ("data", attached(data="SGVsbG8="), 400, ("not-supported", "", f"{A1}.data")),
    (
        "binary without data",
        put("entry.2.resource.data", None),
        400,
        ("required", "", "Bundle.entry[2].resource.data"),
    ),
    (
        "binary that nothing leads to",
        copied(2),
        400,
        ("invalid", "XDSMissingDocumentMetadata", "Bundle.entry[3].resource"),
    ),
    (
        "relation that dangles",
        put("entry.1.resource.relatesTo", [{"code": "appends", "target": {"reference": UNKNOWN}}]),
        400,
        ("not-found", "", f"{R1}.relatesTo[0].target"),
    ),
    (
        "relation to an unknown document",
        put(
            "entry.1.resource.relatesTo",
            [{"code": "appends", "target": {"reference": f"DocumentReference/{UNKNOWN[9:]}"}}],
        ),
        422,
        ("not-found", "UnresolvedReferenceException", f"{R1}.relatesTo[0].target"),
    ),
    (
        "relation to an id of another form",
        put(
            "entry.1.resource.relatesTo",
            [{"code": "appends", "target": {"reference": "DocumentReference/17"}}],
        ),
        422,
        ("not-found", "UnresolvedReferenceException", f"{R1}.relatesTo[0].target"),
    ),
    (
        "relation to an unknown identifier",
        put(
            "entry.1.resource.relatesTo",
            [{"code": "appends", "target": {"identifier": {"value": "urn:oid:2.999.77"}}}],
        ),
        422,
        ("not-found", "UnresolvedReferenceException", f"{R1}.relatesTo[0].target"),
    ),
    (
        "relation that a search does not find",
        put(
            "entry.1.resource.relatesTo",
            [
                {
                    "code": "appends",
                    "target": {"reference": "DocumentReference?identifier=urn:oid:2.999.77"},
                }
            ],
        ),
        412,
        ("not-found", "UnresolvedReferenceException", f"{R1}.relatesTo[0].target"),
    ),
    (
        "relation to another server",
        put(
            "entry.1.resource.relatesTo",
            [{"code": "appends", "target": {"reference": "http://x.example/DocumentReference/1"}}],
        ),
        400,
        ("not-found", "", f"{R1}.relatesTo[0].target"),
    ),
    (
        "relation to itself",
        put(
            "entry.1.resource.relatesTo",
            [
                {
                    "code": "appends",
                    "target": {"reference": "urn:uuid:4d480000-0000-4000-8000-000000000002"},
                }
            ],
        ),
        400,
        ("business-rule", "", f"{R1}.relatesTo[0].target"),
    ),
    (
        "member that dangles",
        put("entry.0.resource.entry.0.item.reference", UNKNOWN),
        400,
        ("not-found", "", "Bundle.entry[0].resource.entry[0].item"),
    ),
    (
        "member that is a binary",
        put(
            "entry.0.resource.entry.0.item.reference",
            "urn:uuid:4d480000-0000-4000-8000-000000000003",
        ),
        400,
        ("value", "", "Bundle.entry[0].resource.entry[0].item"),
    ),
    (
        "member that is taken away",
        put("entry.0.resource.entry.0.deleted", True),
        400,
        ("not-supported", "", "Bundle.entry[0].resource.entry[0].deleted"),
    ),
]


@pytest.mark.parametrize(
    ("change", "status", "issue"),
    [row[1:] for row in REFUSED],
    ids=[row[0] for row in REFUSED],
)
def test_what_is_wrong_is_told_and_nothing_stored(
    here: Deployment, change: Change, status: int, issue: tuple[str, str, str]
) -> None:
    refused = here.refusal(message("one_document", change))
    assert issue in told(refused)
    assert refused.status == status


def test_a_circle_of_relations_is_refused(here: Deployment) -> None:
    change = put(
        "entry.1.resource.relatesTo",
        [
            {
                "code": "appends",
                "target": {"reference": "urn:uuid:4d480000-0000-4000-8000-000000000004"},
            }
        ],
    )
    refused = here.refusal(message("several_documents", change))
    assert told(refused) == [
        ("business-rule", "", f"Bundle.entry[{index}].resource.relatesTo[0].target")
        for index in (1, 3)
    ]


def test_a_code_from_outside_the_affinity_domain_is_told_as_one(
    deploy: Deploy, tmp_path: Path
) -> None:
    code_sets = tmp_path / "codes.toml"
    code_sets.write_text(
        'mime_types = ["application/pdf"]\n'
        '[codes]\nformatCode = ["urn:ihe:pcc:xphr:2007^^1.3.6.1.4.1.19376.1.2.3"]\n'
    )
    refused = deploy(code_sets=str(code_sets)).refusal(message("one_document"))
    assert refused.status == 400
    assert told(refused) == [
        ("code-invalid", "XDSRegistryMetadataError", f"{R1}.content.format"),
        ("code-invalid", "XDSRegistryMetadataError", f"{R1}.content.attachment.contentType"),
    ]


def test_all_problems_are_told_together(here: Deployment) -> None:
    refused = here.refusal(
        message(
            "one_document",
            put("entry.1.resource.type", None),
            put("entry.1.resource.masterIdentifier", None),
            attached(url=UNKNOWN),
            put("entry.0.resource.entry", None),
        )
    )
    told_of = {expression for _, _, expression in told(refused)}
    assert {f"{R1}.masterIdentifier", f"{A1}.url", "Bundle.entry[2].resource"} <= told_of


def test_a_hash_in_hexadecimal_digits_is_told_as_such(here: Deployment) -> None:
    digits = "4332e14be7c65dd402abd969f54dac71fe1dc314"
    (issue,) = here.refusal(message("one_document", attached(hash=digits))).issues
    assert issue.expression == (f"{A1}.hash",)
    assert "base64 of its 20 bytes" in issue.diagnostics


@pytest.mark.parametrize("element", ["subject", "relatesTo"])
def test_a_urn_that_is_no_entry_has_two_ways_out(here: Deployment, element: str) -> None:
    urn = {"reference": "urn:uuid:00000000-0000-4000-8000-00000000dead"}
    value = urn if element == "subject" else [{"code": "replaces", "target": urn}]
    issues = here.refusal(message("one_document", put(f"entry.1.resource.{element}", value))).issues
    told = [one.diagnostics for one in issues if one.expression[0].startswith(f"{R1}.{element}")]
    assert [text for text in told if "Type/id" in text and "Reference.identifier" in text]
