"""The same policy, put to whole transactions: what is withheld shows in no answer."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from hashlib import sha1
from pathlib import Path
from typing import Any, Final

import pytest
from click.testing import CliRunner
from lxml import etree

from tests.databases import Databases
from tests.fhir.asked import ask
from tests.registry.wire import query, query_message, text, texts
from tests.serving import serving
from xds.__main__ import main
from xds.affinity_domain import AffinityDomain
from xds.client.submitting import entry_of, submission_of
from xds.config import Config
from xds.errors import TransactionFailure
from xds.fhir.exchange import Call
from xds.fhir.facade import Facade
from xds.fhir.http.failures import as_refused
from xds.fhir.r4.outcome import Refused
from xds.metadata import vocabulary as v
from xds.metadata.criteria import ANYTHING
from xds.metadata.ebrim import Slot
from xds.metadata.objects import Association, Code, DocumentEntry
from xds.metadata.submission import Submission
from xds.mhd import iti66_find_document_lists
from xds.mhd.served_documents import ServedDocuments
from xds.registry.queries.stored_queries import QueryRequest
from xds.security.access import Access
from xds.security.caller import Caller, User
from xds.security.details import RetrieveDetails
from xds.security.errors import AccessDenied
from xds.security.node import Node
from xds.transactions.messages import Request
from xds.transactions.table import TRANSACTIONS

POLICY: Final = Path(__file__).parents[2] / "docs" / "policies" / "shared-care-record.toml"
PATIENT, OTHER = "P1^^^&2.999.1.1&ISO", "P2^^^&2.999.1.1&ISO"
_SNOMED, _PURPOSES = "2.16.840.1.113883.6.96", "2.16.840.1.113883.5.8"
_CONFIDENTIALITY: Final = "2.16.840.1.113883.5.25"
_NOTE: Final = Code("34109-9", "2.16.840.1.113883.6.1", "Note")
_REPORT: Final = Code("11502-2", "2.16.840.1.113883.6.1", "Laboratory report")
_ROLES: Final = {
    "a GP": "62247001",
    "a psychiatrist": "80584001",
    "a porter": "265937000",
}
_NODES: Final = {
    "the laboratory": "CN=laboratory,O=Example Trust",
    "the feed": "CN=feed,O=Example Trust",
    "a stranger": None,
}
_CODES: Final = {
    "normal": ("N",),
    "restricted": ("R",),
    "very restricted": ("V",),
    "mixed": ("N", "R"),
}


def caller(who: str, purpose: str) -> Caller:
    """Return whom a sentence is about."""
    if who in _NODES:
        return Caller(node=Node(certificate_subject=_NODES[who]))
    user = User(
        name_id=who,
        issuer="https://idp.example",
        roles=(Code(_ROLES[who], _SNOMED),),
        purposes_of_use=(Code(purpose, _PURPOSES),),
        resource_ids=(PATIENT,) if who == "the patient" else (),
    )
    return Caller(user=user)


@dataclass
class Record:
    """A shared care record with one document of each confidentiality for each of two patients."""

    domain: AffinityDomain
    entries: dict[tuple[str, str], DocumentEntry]
    sets: dict[str, str]
    """The SubmissionSet of each entry."""

    @property
    def facade(self) -> Facade:
        return Facade(self.domain, Config())

    def soap(self, transaction: str, access: Access, body: etree._Element) -> etree._Element:
        """Put a request through a row of TRANSACTIONS."""
        row = next(one for one in TRANSACTIONS if one.name == transaction)
        response = row.answer(self.domain, Request(body, None, access))  # type: ignore[arg-type]
        answer = etree.fromstring(b"".join(response.pieces))
        response.close()
        return answer

    def find(self, who: Caller, patient_id: str = PATIENT, **paging: str) -> etree._Element:
        message = query_message(
            v.FIND_DOCUMENTS,
            {
                "$XDSDocumentEntryPatientId": text(patient_id),
                "$XDSDocumentEntryStatus": texts(v.APPROVED),
            },
            v.OBJECT_REF,
            attributes=" ".join(f'{k}="{n}"' for k, n in paging.items()),
        )
        (body,) = etree.fromstring(message)[1]
        return self.soap("ITI-18", Access(transaction="ITI-18", caller=who), body)

    def submit(self, who: Caller, entry: DocumentEntry) -> str:
        """Register an entry by ITI-42 and return the status."""
        body = etree.fromstring(submission_of([entry]).render())
        answer = self.soap("ITI-42", Access(transaction="ITI-42", caller=who), body)
        return str(answer.get("status")).rpartition(":")[2]


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory, databases: Databases) -> Iterator[Record]:
    data = tmp_path_factory.mktemp("policy")
    with opened(data, databases.url(data)) as found:
        yield found


@contextmanager
def opened(data: Path, database: str) -> Iterator[Record]:
    domain = AffinityDomain.open(Config(data=data, database=database, policy=POLICY))
    try:
        entries, sets = {}, {}
        for patient_id in (PATIENT, OTHER):
            for name, codes in _CODES.items():
                entry, submission_set = registered(domain, patient_id, codes)
                entries[patient_id, name] = entry
                sets[entry.id] = submission_set
        yield Record(domain, entries, sets)
    finally:
        domain.close()


def document(patient_id: str, codes: tuple[str, ...], **more: Any) -> DocumentEntry:
    return entry_of(
        patient_id,
        "application/pdf",
        confidentiality_code=tuple(Code(one, _CONFIDENTIALITY, one) for one in codes),
        **{"type_code": _REPORT, **more},
    )


def registered(
    domain: AffinityDomain, patient_id: str, codes: tuple[str, ...], **more: Any
) -> tuple[DocumentEntry, str]:
    """Provide a document, as the operator could; return its entry and its SubmissionSet."""
    staged = domain.repository.stage([b"a report"])
    submission = submission_of([document(patient_id, codes, **more)]).with_uuids()
    (entry,) = submission.document_entries
    domain.repository.provide_and_register(submission, {entry.id: staged})
    return entry, submission.submission_set.id


def test_the_laboratory_submits_reports_and_nothing_else(record: Record) -> None:
    laboratory = caller("the laboratory", "")
    more = {"repository_unique_id": "2.999.1.3", "hash": "0" * 40, "size": "1"}
    assert record.submit(laboratory, document(PATIENT, ("N",), **more)) == "Success"
    note = replace_type(document(PATIENT, ("N",), **more))
    assert record.submit(laboratory, note) == "Failure"
    assert record.submit(caller("a GP", "TREAT"), document(PATIENT, ("N",), **more)) == "Failure"
    assert note.unique_id not in unique_ids(record)


def replace_type(entry: DocumentEntry) -> DocumentEntry:
    return entry.updated(type_code=_NOTE)


def unique_ids(record: Record) -> set[str]:
    with record.domain.registry.view(ANYTHING) as view:
        return {one.thing.unique_id or "" for one in view.find(DocumentEntry, [])}


# --- withheld everywhere -------------------------------------------------------------------------


def test_a_withheld_document_is_not_retrieved(record: Record) -> None:
    gp = caller("a GP", "TREAT")
    for name, status in (("normal", "Success"), ("restricted", "Failure")):
        entry = record.entries[PATIENT, name]
        body = etree.fromstring(
            f'<RetrieveDocumentSetRequest xmlns="{v.NS_XDS}"><DocumentRequest>'
            f"<RepositoryUniqueId>2.999.1.3</RepositoryUniqueId>"
            f"<DocumentUniqueId>{entry.unique_id}</DocumentUniqueId>"
            "</DocumentRequest></RetrieveDocumentSetRequest>"
        )
        row = next(one for one in TRANSACTIONS if one.name == "ITI-43")
        access = Access(transaction="ITI-43", caller=gp)
        response = row.answer(record.domain, Request(body, None, access))  # type: ignore[arg-type]
        response.close()
        head = response.pieces[0].decode()
        assert f"ResponseStatusType:{status}" in head
        assert ("XDSDocumentUniqueIdError" in head) is (status == "Failure")
        assert isinstance(access.details, RetrieveDetails)
        assert [one.is_released for one in access.details.documents] == [status == "Success"]


def test_a_withheld_document_is_not_there_for_iti68(record: Record) -> None:
    documents = ServedDocuments(record.domain)
    for name in ("normal", "restricted"):
        identifier = record.entries[PATIENT, name].id.removeprefix("urn:uuid:")
        psychiatrist = access_of(record, "a psychiatrist", "TREAT", "ITI-68")
        assert documents.find(identifier, psychiatrist).size == 8  # remembered from now on
        gp = access_of(record, "a GP", "TREAT", "ITI-68")
        if name == "normal":
            assert documents.find(identifier, gp).size == 8
            continue
        with pytest.raises(Refused) as refused:
            documents.find(identifier, gp)
        assert refused.value.status == 404


def access_of(record: Record, who: str, purpose: str, transaction: str) -> Access:
    access = Access(transaction=transaction, caller=caller(who, purpose))
    with record.domain.interceptors.passing(access):
        pass
    return access


def test_pages_count_what_is_visible(record: Record) -> None:
    answer = record.find(caller("a GP", "TREAT"), OTHER, startIndex="0", maxResults="1")
    assert answer.get("totalResultCount") == "1"


def test_a_submission_set_does_not_name_what_is_withheld(record: Record) -> None:
    access = access_of(record, "a GP", "TREAT", "ITI-66")
    parameters = (
        ("patient.identifier", "urn:oid:2.999.1.1|P1"),
        ("code", "submissionset"),
        ("status", "current"),
    )
    call = Call(access=access, base="https://x.example/fhir", parameters=parameters)
    bundle: Any = iti66_find_document_lists.find(record.facade, call).resource
    named = {
        entry["item"]["reference"].rpartition("/")[2]
        for one in bundle.get("entry", ())
        for entry in one["resource"].resource().get("entry", ())
    }
    hidden = record.entries[PATIENT, "restricted"].id.removeprefix("urn:uuid:")
    assert hidden not in named
    assert record.entries[PATIENT, "normal"].id.removeprefix("urn:uuid:") in named


def test_associations_of_withheld_entries_are_withheld(record: Record) -> None:
    entry = record.entries[PATIENT, "restricted"]
    message = query_message(v.GET_ASSOCIATIONS, {"$uuid": texts(entry.id)}, v.OBJECT_REF)
    (body,) = etree.fromstring(message)[1]
    for who, count in (("a GP", 0), ("a psychiatrist", 1)):
        access = Access(transaction="ITI-18", caller=caller(who, "TREAT"))
        answer = record.soap("ITI-18", access, body)
        assert len(list(answer.iter(f"{{{v.NS_RIM}}}ObjectRef"))) == count


def test_who_might_be_permitted_with_a_user_is_asked_for_one(record: Record) -> None:
    with pytest.raises(AccessDenied) as denied:
        access_of(record, "a stranger", "", "ITI-67")
    assert as_refused(denied.value).status == 401
    with pytest.raises(AccessDenied) as denied:
        access_of(record, "a porter", "TREAT", "ITI-67")
    assert as_refused(denied.value).status == 403


def asked_of(entry: DocumentEntry, submission_set: str) -> dict[str, tuple[str, dict[str, str]]]:
    """Return each stored query, asked so that it would find the entry or what it belongs to."""
    patient = {
        "$patientId": text(entry.patient_id or ""),
        "$XDSSubmissionSetStatus": texts(v.APPROVED),
        "$XDSDocumentEntryStatus": texts(v.APPROVED),
        "$XDSFolderStatus": texts(v.APPROVED),
    }
    by_id = {"$XDSDocumentEntryEntryUUID": texts(entry.id)}
    one = {"$XDSDocumentEntryEntryUUID": text(entry.id)}
    found = {
        v.FIND_DOCUMENTS: {
            "$XDSDocumentEntryPatientId": text(entry.patient_id or ""),
            "$XDSDocumentEntryStatus": texts(v.APPROVED),
        },
        v.FIND_SUBMISSION_SETS: {
            "$XDSSubmissionSetPatientId": text(entry.patient_id or ""),
            "$XDSSubmissionSetStatus": texts(v.APPROVED),
        },
        v.GET_ALL: patient,
        v.GET_DOCUMENTS: by_id,
        v.GET_ASSOCIATIONS: {"$uuid": texts(entry.id)},
        v.GET_DOCUMENTS_AND_ASSOCIATIONS: by_id,
        v.GET_SUBMISSION_SETS: {"$uuid": texts(entry.id)},
        v.GET_SUBMISSION_SET_AND_CONTENTS: {"$XDSSubmissionSetEntryUUID": text(submission_set)},
        v.GET_FOLDERS_FOR_DOCUMENT: one,
        v.GET_RELATED_DOCUMENTS: {
            **one,
            "$AssociationTypes": texts("urn:ihe:iti:2007:AssociationType:RPLC", v.HAS_MEMBER),
        },
        v.FIND_DOCUMENTS_FOR_MULTIPLE_PATIENTS: {
            "$XDSDocumentEntryPatientId": texts(entry.patient_id or ""),
            "$XDSDocumentEntryStatus": texts(v.APPROVED),
        },
    }
    multiple = v.FIND_DOCUMENTS_FOR_MULTIPLE_PATIENTS
    return {key: ("ITI-51" if key == multiple else "ITI-18", value) for key, value in found.items()}


@pytest.mark.parametrize("return_type", [v.OBJECT_REF, v.LEAF_CLASS])
@pytest.mark.parametrize("who", ["a GP", "a psychiatrist"])
def test_no_stored_query_shows_what_is_withheld(record: Record, who: str, return_type: str) -> None:
    entry = record.entries[PATIENT, "restricted"]
    submission_set = record.sets[entry.id]
    shown = set()
    for query_id, (transaction, parameters) in asked_of(entry, submission_set).items():
        if transaction == "ITI-51":
            continue  # which this policy permits to nobody
        message = query_message(query_id, parameters, return_type, transaction)
        (body,) = etree.fromstring(message)[1]
        access = Access(transaction=transaction, caller=caller(who, "TREAT"))
        answer = etree.tostring(record.soap(transaction, access, body)).decode()
        assert "RegistryError" not in answer, (query_id, answer)
        if entry.id in answer or submission_set in answer:
            shown.add(query_id)
    assert bool(shown) == (who == "a psychiatrist"), shown


def test_a_query_of_several_patients_is_limited_too(record: Record) -> None:
    visible = access_of(record, "a GP", "TREAT", "ITI-18").visible
    asked = asked_of(record.entries[PATIENT, "restricted"], "")
    _, parameters = asked[v.FIND_DOCUMENTS_FOR_MULTIPLE_PATIENTS]
    slots = [Slot(name, (value,)) for name, value in parameters.items()]
    request = QueryRequest(v.FIND_DOCUMENTS_FOR_MULTIPLE_PATIENTS, slots, v.OBJECT_REF, "ITI-51")
    found = record.domain.registry.query(request, visible)
    uuids = {one.entry_uuid for one in found.objects}
    assert record.entries[PATIENT, "normal"].id in uuids
    assert record.entries[PATIENT, "restricted"].id not in uuids


def test_a_document_cannot_be_replaced_by_who_may_not_know_of_it(record: Record) -> None:
    laboratory = caller("the laboratory", "")
    old = record.entries[PATIENT, "restricted"].id
    note = registered(record.domain, PATIENT, ("N",), type_code=_NOTE)[0]
    for target, status in ((old, "Success"), (note.id, "Failure")):
        more = {"repository_unique_id": "2.999.1.3", "hash": "0" * 40, "size": "1"}
        new = document(PATIENT, ("R",), **more)
        replaces = Association.create(association_type=v.RPLC, source=new.id, target=target)
        things = (*submission_of([new]).objects, replaces)
        body = etree.fromstring(Submission(things).render())
        answer = record.soap("ITI-42", Access(transaction="ITI-42", caller=laboratory), body)
        assert str(answer.get("status")).endswith(status)


@pytest.mark.parametrize("name", ["ITI-42", "ITI-61"])
def test_a_uniqueid_of_what_is_withheld_tells_no_more_than_that_it_is_in_use(
    record: Record, name: str
) -> None:
    """Whether hash and size are the same, whose it is and what it is."""
    visible = access_of(record, "a GP", "TREAT", "ITI-18").visible
    secret = record.entries[PATIENT, "restricted"]
    told = set()
    for patient_id, data in ((PATIENT, b"a report"), (PATIENT, b"another"), (OTHER, b"a report")):
        facts: dict[str, object] = {"repository_unique_id": "2.999.1.3"}
        if name == "ITI-42":
            facts |= {"hash": sha1(data).hexdigest(), "size": str(len(data))}
        twin = document(patient_id, ("N",), **facts, unique_id=secret.unique_id)
        if name == "ITI-61":
            twin = replace(twin, objectType=v.ON_DEMAND_DOCUMENT_ENTRY)
            twin = twin.updated(creation_time=None)
        with pytest.raises(TransactionFailure) as refused:
            record.domain.registry.register(
                submission_of([twin]), transaction=name, visible=visible
            )
        told.add(
            tuple(
                (one.code, one.code_context.replace(twin.id, "-")) for one in refused.value.errors
            )
        )
    said = f"DocumentEntry -: uniqueId {secret.unique_id} is already in use"
    assert told == {(("XDSDuplicateUniqueIdInRegistry", said),)}


def test_over_the_wire_nobody_is_let_in(tmp_path: Path, databases: Databases) -> None:
    options = {"policy": str(POLICY), "database": databases.url(tmp_path), "audit": "on"}
    with serving(tmp_path, options) as server:
        parameters = {
            "$XDSDocumentEntryPatientId": text(PATIENT),
            "$XDSDocumentEntryStatus": texts(v.APPROVED),
        }
        answer = query(server, v.FIND_DOCUMENTS, parameters)
        assert (answer.status, answer.codes) == ("Failure", ["XDSRegistryError"])
        path = "/DocumentReference?patient.identifier=urn:oid:2.999.1.1%7CP1&status=current"
        assert ask(server, "GET", path).status == 401
        assert ask(server, "GET", "/metadata").status == 200
        assert "P1" not in server.log.read_text()
    where = ["--data", str(tmp_path), "--database", server.database]
    told = CliRunner().invoke(main, ["audit", *where, "--failed"]).stdout
    assert told.count("denied: no rule permits it") == 2
