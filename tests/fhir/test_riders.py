"""Nothing of a DocumentReference or List is lost: what metadata cannot say rides along."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

from tests.fhir.asked import ANYONE
from tests.fhir.mapped import PATIENT, READING, WRITING, unfolded
from tests.fhir.published import (
    REGISTERED,
    Deployment,
    ids,
    message,
    resource,
    warnings,
)
from tests.fhir.searched import resource as of_answer
from tests.reference import FHIR as REFERENCE
from tests.reference import absent
from xds.fhir.datatypes.context import Reading
from xds.fhir.exchange import Call
from xds.fhir.r4 import structure
from xds.fhir.r4.resource import Resource
from xds.metadata import vocabulary as v
from xds.metadata.criteria import ANYTHING
from xds.metadata.ebrim import Slot
from xds.metadata.objects import DocumentEntry
from xds.mhd import iti66_find_document_lists as lists
from xds.mhd import iti67_find_document_references as references
from xds.mhd.mapping.document_references import document_reference, read_document_reference
from xds.mhd.mapping.lists import folder_list, read_folder, read_submission_set, submission_set_list
from xds.mhd.mapping.riders import MOST, Rider
from xds.mhd.provide.bundle import list_type
from xds.registry.queries.stored_queries import QueryRequest
from xds.registry.storage.fragments import parsed

OTHERS: Final = "http://example.org/extension"
EXAMPLES: Final = sorted(
    [
        *(REFERENCE / "mhd-4.2.4").glob("DocumentReference-ex-*.json"),
        *(REFERENCE / "mhd-4.2.4").glob("List-ex-*.json"),
        *(REFERENCE / "dsubm" / "examples").glob("DocumentReference-ex-*.json"),
        *(REFERENCE.parent.parent / "spec" / "messages" / "fhir-update").glob("ch-put-body.json"),
    ]
)
_OF_ATTACHMENT: Final = ("url", "data", "hash", "size")


def _as_sent(sent: Resource, read: Resource) -> None:
    """Compare what was sent with what is read, but for what the server itself assigns."""
    sent, read = _comparable(sent), _comparable(read)
    for name in ("masterIdentifier", "identifier", "subject"):
        _compare_own(sent.pop(name, None), read.pop(name, None))
    if "sourcePatientInfo" not in sent.get("context", {}):
        read.get("context", {}).pop("sourcePatientInfo", None)
    assert {n: one for n, one in read.items() if one} == {n: one for n, one in sent.items() if one}


def _comparable(one: Resource) -> Resource:
    found: Resource = json.loads(json.dumps(unfolded(one)))
    for name in ("id", "date", "relatesTo", "entry"):
        if not (name == "date" and found["resourceType"] == "List" and _is_set(found)):
            found.pop(name, None)
    for name in ("versionId", "lastUpdated", "profile", "source"):
        found.get("meta", {}).pop(name, None)
    for content in found.get("content", ()):
        for name in _OF_ATTACHMENT:
            content["attachment"].pop(name, None)
            content["attachment"].pop(f"_{name}", None)
    found["extension"] = sorted(found.get("extension", ()), key=json.dumps)
    return found


def _is_set(found: Resource) -> bool:
    return list_type(found) == "submissionset"


def _compare_own(sent: Any, read: Any) -> None:
    """An identifier has its marks more, a subject the server's own reference."""
    if isinstance(sent, list):
        values = [one.get("value") for one in read]
        assert all(one.get("value") in values for one in sent if one.get("value"))
    elif sent and "value" in sent:
        assert {**read, **sent, "type": None} == {**read, "type": None}
    elif sent:
        assert sent.get("display") == read.get("display")


def _read(sent: Resource, reading: Reading = READING) -> Any:
    kind = sent["resourceType"]
    if kind == "DocumentReference":
        return read_document_reference(sent, reading, patient_id=PATIENT)
    read: Callable[..., Any] = read_submission_set if _is_set(sent) else read_folder
    return read(sent, reading, patient_id=PATIENT)


def _written(thing: Any) -> Resource:
    if isinstance(thing, DocumentEntry):
        return document_reference(thing, context=WRITING)
    write: Callable[..., Resource] = (
        submission_set_list if thing.KIND == "SubmissionSet" else folder_list
    )
    return write(thing, context=WRITING, members=())


@pytest.mark.parametrize(
    "path",
    EXAMPLES or [pytest.param(None, marks=pytest.mark.skip(reason=absent(REFERENCE)))],
    ids=lambda path: path and path.stem,
)
def test_a_published_example_is_read_as_it_was_sent(path: Path) -> None:
    sent = json.loads(path.read_bytes())
    if sent["resourceType"] == "List" and not list_type(sent):
        pytest.skip("a List that is neither a SubmissionSet nor a Folder")
    if sent["resourceType"] == "DocumentReference" and "masterIdentifier" not in sent:
        pytest.skip("no document can be registered without a masterIdentifier")
    mapped = _read(sent)
    found = _written(mapped.thing)
    assert structure.problems(found) == []
    _as_sent(sent, found)
    again = _written(_read(found).thing)
    _as_sent(found, again)


# --- a DocumentReference and a List with everything ----------------------------------------------


def _everything(document: Resource) -> None:
    """Give a DocumentReference what no attribute can hold."""
    document["type"]["coding"].append({"system": "http://loinc.org", "code": "34133-9"})
    document["type"]["text"] = "A note, in our words"
    document["category"].append({"coding": [{"system": "urn:oid:2.999.5.9", "code": "extra"}]})
    document["context"]["facilityType"]["coding"].append(
        {"system": "http://snomed.info/sct", "code": "22232009", "display": "Hospital"}
    )
    document["context"]["event"] = [
        {
            "coding": [
                {"system": "urn:oid:2.999.5.7", "code": "E1", "display": "One"},
                {"system": "http://snomed.info/sct", "code": "73761001"},
            ]
        }
    ]
    document.setdefault("identifier", []).append(
        {"system": "http://example.org/ids", "value": "L-17", "assigner": {"display": "Lab"}}
    )
    document["custodian"] = {"display": "The archive"}
    document["docStatus"] = "final"
    document["extension"] = [{"url": OTHERS, "valueCodeableConcept": {"text": "HCP"}}]
    document["language"] = "en-GB"
    document["meta"] = {"tag": [{"system": "http://example.org/tags", "code": "pilot"}]}
    document["text"] = {
        "status": "additional",
        "div": '<div xmlns="http://www.w3.org/1999/xhtml">A  note</div>',
    }
    document["authenticator"] = {"reference": "#signer"}
    document.setdefault("contained", []).append(
        {"resourceType": "Organization", "id": "signer", "name": "The Board", "active": True}
    )
    document["author"] = [
        {
            "reference": "http://elsewhere.example/fhir/Practitioner/9",
            "extension": [{"url": OTHERS, "valueString": "role"}],
            "display": "Dr Okafor",
        }
    ]
    document["context"]["encounter"] = [
        {
            "identifier": {
                "type": {
                    "coding": [
                        {
                            "system": "http://terminology.hl7.org/CodeSystem/v2-0203",
                            "code": "VN",
                        }
                    ],
                    "text": "Visit",
                },
                "system": "urn:oid:2.999.1.5",
                "value": "V-1",
            },
            "display": "The stay",
        }
    ]
    document["context"]["related"] = [
        {"reference": "http://elsewhere.example/fhir/Observation/1"},
        {"identifier": {"system": "urn:oid:2.999.1.5", "value": "A-1"}, "type": "ServiceRequest"},
    ]
    attachment = document["content"][0]["attachment"]
    attachment["creation"] = "2026-03-04T11:00:00.250+01:00"
    attachment["extension"] = [{"url": OTHERS, "valueInteger": 3}]
    document["subject"]["display"] = "E. Haddad"


def _get(here: Deployment, identifier: str, handler: Any = references) -> Resource:
    call = Call(access=ANYONE, base=WRITING.base, identifier=identifier)
    return of_answer(handler.read(here.facade, call))


def _found(here: Deployment, query: str, handler: Any = references) -> int:
    parameters = tuple(tuple(one.split("=", 1)) for one in query.split("&"))
    call = Call(access=ANYONE, base=WRITING.base, parameters=parameters)  # type: ignore[arg-type]
    total: int = of_answer(handler.find(here.facade, call))["total"]
    return total


def _published(here: Deployment, *changes: Callable[[Resource], None]) -> tuple[Resource, Resource]:
    sent = message("one_document", lambda bundle: _everything(resource(bundle, 1)), *changes)
    answer = here.provide(sent)
    assert warnings(answer) == []
    return resource(sent, 1), _get(here, REGISTERED)


def test_a_document_is_read_as_it_was_sent(here: Deployment) -> None:
    sent, found = _published(here)
    assert structure.problems(found) == []
    _as_sent(sent, found)
    assert "profile" not in found["meta"], "no profile of MHD has docStatus"


def test_what_rides_along_is_searched(here: Deployment) -> None:
    _published(here)
    patient = "patient.identifier=urn:oid:2.999.1.1|M4001"
    for query in (
        f"{patient}&type=http://loinc.org|34133-9",
        f"{patient}&type=34133-9",
        f"{patient}&category=urn:oid:2.999.5.9|extra",
        f"{patient}&facility=http://snomed.info/sct|22232009",
        f"{patient}&event=73761001",
        "identifier=http://example.org/ids|L-17",
        "identifier=L-17",
        f"{patient}&encounter:identifier=urn:oid:2.999.1.5|V-1",
        f"{patient}&encounter.identifier=V-1",
    ):
        assert _found(here, query) == 1, query
    for query in (
        f"{patient}&category=34133-9",
        f"{patient}&type:not=34133-9",
        "identifier=|L-17",
        "identifier=http://example.org/others|L-17",
    ):
        assert _found(here, query) == 0, query


def test_a_list_is_read_as_it_was_sent(here: Deployment) -> None:
    def change(bundle: Resource) -> None:
        sent = resource(bundle, 0)
        sent["code"]["text"] = "A submission"
        sent["note"] = [{"text": "first", "time": "2026-03-04"}, {"text": "second"}]
        sent["identifier"].append({"system": "http://example.org/ids", "value": "S-3"})
        sent["extension"].append({"url": OTHERS, "valueBoolean": True})
        for one in sent["extension"]:
            if "valueCodeableConcept" in one:
                one["valueCodeableConcept"]["coding"].append(
                    {"system": "http://snomed.info/sct", "code": "1"}
                )

    sent = message("one_document", change)
    (identifier, _, _) = ids(here.provide(sent))
    found = _get(here, identifier, lists)
    assert structure.problems(found) == []
    _as_sent(resource(sent, 0), found)
    for query in ("identifier=S-3", "identifier=http://example.org/ids|S-3"):
        assert _found(here, query, lists) == 1
    of_patient = "patient.identifier=urn:oid:2.999.1.1|M4001"
    assert _found(here, f"{of_patient}&designationType=http://snomed.info/sct|1", lists) == 1


def test_soap_consumers_pass_on_what_rides_along(here: Deployment) -> None:
    """An entry that is queried by ITI-18 and registered elsewhere shows the same by FHIR."""
    sent, _ = _published(here)
    slot = Slot("$XDSDocumentEntryEntryUUID", (f"('urn:uuid:{REGISTERED}')",))
    request = QueryRequest(v.GET_DOCUMENTS, (slot,))
    (entry,) = parsed(here.domain.registry.query(request, ANYTHING).objects)
    assert isinstance(entry, DocumentEntry)
    assert all(len(text) <= 256 for one in entry.slots for text in one.values)
    _as_sent(sent, document_reference(entry, context=WRITING))


# --- the metadata win ----------------------------------------------------------------------------


def test_what_was_changed_in_the_metadata_is_shown_as_it_is_now() -> None:
    sent = resource(message("one_document", lambda bundle: _everything(resource(bundle, 1))), 1)
    entry = _read(sent).thing
    changed = entry.updated(title="Corrected", author=(), type_code=entry.class_code)
    found = document_reference(changed, context=WRITING)
    assert found["content"][0]["attachment"]["title"] == "Corrected"
    assert "author" not in found
    assert "34133-9" not in json.dumps(found["type"])
    assert found["custodian"] == {"display": "The archive"}, "nothing in the metadata says else"


def test_after_a_merge_nothing_in_words_is_shown_of_the_patient(here: Deployment) -> None:
    _, before = _published(here)
    assert before["subject"]["display"] == "E. Haddad"
    survivor = "M9^^^&2.999.1.1&ISO"
    here.domain.identities.add(survivor)
    here.domain.identities.merge(subsumed="M4001^^^&2.999.1.1&ISO", surviving=survivor)
    found = _get(here, REGISTERED)
    assert found["subject"]["identifier"]["value"] == "M9"
    assert "display" not in found["subject"]
    assert "text" not in found
    assert found["custodian"] == before["custodian"]
    assert found["type"] == before["type"]


FORGED: Final[dict[str, Any]] = {
    "another status": {"status": "superseded"},
    "another id": {"id": "1"},
    "another patient": {"subject": {"identifier": {"value": "X"}}},
    "another type": {"type": {"coding": [{"system": "urn:oid:2.999.5", "code": "Z"}]}},
    "another uniqueId": {"masterIdentifier": {"system": "urn:ietf:rfc:3986", "value": "urn:x"}},
    "a second entryUUID": {
        "identifier": [
            {
                "type": {
                    "coding": [
                        {
                            "system": "https://profiles.ihe.net/ITI/MHD/CodeSystem/"
                            "IHE.MHD.MHDIdentifierType",
                            "code": "entryUUID",
                        }
                    ]
                },
                "value": "urn:uuid:4d48a000-0000-4000-8000-00000000ffff",
            }
        ]
    },
    "what is no FHIR": {"custodian": 7, "docStatus": ["final"]},
    "what is no list": {"extension": {"url": OTHERS}, "context.related": 1},
    "script in the narrative": {
        "text": {"status": "generated", "div": "<div><script>alert(1)</script></div>"}
    },
    "an extension of our own": {
        "extension": [{"url": "urn:xds:fhir:documentAvailability", "valueUri": "urn:x"}]
    },
    "a place beyond": {"content[7].attachment.title": "x", "meta.versionId": "9"},
}


@pytest.mark.parametrize("elements", FORGED.values(), ids=FORGED)
def test_a_forged_slot_makes_no_resource_contradict_the_metadata(elements: Any) -> None:
    entry = _read(resource(message("one_document"), 1)).thing.updated(fhir_elements=())
    plain = document_reference(entry, context=WRITING)
    forged = entry.updated(fhir_elements=Rider(elements, (), PATIENT).values())
    assert document_reference(forged, context=WRITING) == plain


@pytest.mark.parametrize(
    "values", [("",), ("[{]",), ("[[1]]",), ("x",), ("[" + "[" * 200 + "]",), ("[null]",)]
)
def test_a_slot_of_another_form_is_nothing(values: tuple[str, ...]) -> None:
    assert Rider.of(values) == Rider()


# --- what cannot be held -------------------------------------------------------------------------


def test_what_is_too_large_is_told_and_the_rest_kept(here: Deployment) -> None:
    div = f'<div xmlns="http://www.w3.org/1999/xhtml">{"x" * MOST}</div>'
    sent = message(
        "one_document",
        lambda bundle: resource(bundle, 1).update(
            text={"status": "additional", "div": div}, docStatus="final"
        ),
    )
    answer = here.provide(sent)
    ((index, told),) = warnings(answer)
    assert (index, told) == (1, "this is too large to be kept beside the metadata")
    found = _get(here, REGISTERED)
    assert "text" not in found
    assert found["docStatus"] == "final"


def test_what_is_not_kept_is_told_where_an_outcome_is_preferred(here: Deployment) -> None:
    here.provide(message("one_document"))
    sent = message("simplified_publish")
    target = {"reference": f"DocumentReference/{REGISTERED}", "display": "the first"}
    sent["relatesTo"] = [{"code": "appends", "target": target}]
    answer = here.publish(sent, prefer={"return": "OperationOutcome"})
    assert answer.resource is not None
    told = [one["expression"] for one in answer.resource["issue"] if one["severity"] == "warning"]
    assert ["DocumentReference.relatesTo[0]"] in told


def test_resources_of_the_request_become_contained(here: Deployment) -> None:
    full_url = "urn:uuid:4d480000-0000-4000-8000-000000000055"

    def change(bundle: Resource) -> None:
        practitioner = {
            "resourceType": "Practitioner",
            "contained": [{"resourceType": "Organization", "id": "o", "name": "School"}],
            "name": [{"family": "Okafor"}, {"family": "Berg", "use": "maiden"}],
            "qualification": [{"code": {"text": "MD"}, "issuer": {"reference": "#o"}}],
        }
        request = {"method": "POST", "url": "Practitioner"}
        bundle["entry"].append({"fullUrl": full_url, "resource": practitioner, "request": request})
        resource(bundle, 1)["author"] = [{"reference": full_url}]

    here.provide(message("one_document", change))
    found = unfolded(_get(here, REGISTERED))
    (author,) = found["author"]
    assert [one["family"] for one in author["name"]] == ["Okafor", "Berg"]
    assert author["qualification"][0]["issuer"]["name"] == "School"


def test_the_slot_takes_any_text() -> None:
    elements = {"custodian": {"display": "  \ufffe Ü😀 & < > \" ' \\ ] [ " + " " * 300 + "end  "}}
    values = Rider(elements, (), PATIENT).values()
    assert all(text == text.strip() and len(text) <= 256 for text in values)
    assert Rider.of(values).elements == elements
