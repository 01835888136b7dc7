"""zeep as a client: it reads the contract from the running server, and calls with what it read."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import urljoin
from urllib.request import urlopen

import pytest
import zeep
from lxml import etree

from tests.databases import Databases
from tests.serving import Server, serving
from tests.soap.messages import REPOSITORY, SIMPLE, Case, new_case
from tests.soap.wire import FAILURE, NS, SUCCESS, provide
from tests.waiting import PATIENCE
from xds.client import (
    Content,
    DocumentConsumer,
    DocumentSource,
    entry_of,
    next_version,
    removal_of,
    submission_of,
    update_of,
)
from xds.metadata.submission import Submission

LCM = "{urn:oasis:names:tc:ebxml-regrep:xsd:lcm:3.0}"
GET_DOCUMENTS = "urn:uuid:5c4f972b-d56b-40ac-a5fc-c8ca9b40b9d4"
UPDATE = "DocumentRegistry_UpdateDocumentSet"
RESTRICTED_UPDATE = "DocumentRegistry_RestrictedUpdateDocumentSet"
DELETE = "DocumentRegistry_DeleteDocumentSet"
FIND_DOCUMENTS = "urn:uuid:14d4debf-8f97-4251-9a74-a90016b0af0d"
GET_ALL = "urn:uuid:10b545ea-725c-446d-9b95-8aeb444eddf3"
APPROVED = "('urn:oasis:names:tc:ebxml-regrep:StatusType:Approved')"
DOCUMENT = b"a document\r\n"


@pytest.fixture(scope="module")
def registry(server: Server) -> zeep.Client:
    return zeep.Client(f"{server.registry_url}?wsdl=choice")


@pytest.fixture(scope="module")
def repository(server: Server) -> zeep.Client:
    return zeep.Client(f"{server.repository_url}?wsdl=choice")


def find(client: zeep.Client, query_id: str, return_type: str, **parameters: str) -> Any:
    """Call ITI-18 with these parameters, whose names lack their dollar sign."""
    slots = [
        {"name": f"${name}", "ValueList": {"Value": [value]}} for name, value in parameters.items()
    ]
    return client.service.DocumentRegistry_RegistryStoredQuery(
        ResponseOption={"returnComposedObjects": True, "returnType": return_type},
        AdhocQuery={"id": query_id, "Slot": slots},
    )


def find_documents(client: zeep.Client, case: Case, return_type: str = "LeafClass") -> Any:
    return find(
        client,
        FIND_DOCUMENTS,
        return_type,
        XDSDocumentEntryPatientId=f"'{case.patient}^^^&2.999.1.1&ISO'",
        XDSDocumentEntryStatus=APPROVED,
    )


def kinds(answer: Any) -> list[str]:
    """Return of which kind each object of an answer is."""
    return [
        kind
        for choice in answer.RegistryObjectList._value_1
        for kind, thing in choice.items()
        if thing is not None
    ]


@pytest.mark.parametrize(
    "path", ["/registry?wsdl", "/registry?WSDL", "/repository?wsdl", "/registry?wsdl=choice"]
)
def test_every_file_of_the_contract_is_reachable(server: Server, path: str) -> None:
    """Each schema is followed to those that it names, by the URLs as they stand there."""
    pending, seen = [server.url + path], set()
    while pending:
        url = pending.pop()
        if url in seen:
            continue
        seen.add(url)
        with urlopen(url, timeout=PATIENCE) as answer:
            root = etree.fromstring(answer.read())
        locations = root.xpath("//@schemaLocation[not(contains(., ' '))]")
        pending += [urljoin(url, location) for location in locations]
    assert len(seen) >= 5


def test_contract_has_the_address_of_the_server(
    server: Server, registry: zeep.Client, repository: zeep.Client
) -> None:
    for client, url in ((registry, server.registry_url), (repository, server.repository_url)):
        assert client.service._binding_options["address"] == url


def test_query_finds_a_document(server: Server, registry: zeep.Client) -> None:
    case = new_case()
    provide(server, case, DOCUMENT)
    answer = find_documents(registry, case)
    assert answer.status == SUCCESS
    [found] = answer.RegistryObjectList._value_1
    entry = found["ExtrinsicObject"]
    assert entry.mimeType == "text/plain"
    assert [text.value for text in entry.Name.LocalizedString] == [
        "Epikris: höftprotes",
        "Discharge summary: hip replacement",
    ]
    slots = {slot.name: slot.ValueList.Value for slot in entry.Slot}
    assert slots["size"] == [str(len(DOCUMENT))]
    assert slots["repositoryUniqueId"] == [REPOSITORY]
    assert case.document in [identifier.value for identifier in entry.ExternalIdentifier]


def test_query_for_references(server: Server, registry: zeep.Client) -> None:
    case = new_case()
    provide(server, case, DOCUMENT)
    answer = find_documents(registry, case, "ObjectRef")
    [found] = answer.RegistryObjectList._value_1
    assert found["ObjectRef"].id.startswith("urn:uuid:")


def test_query_that_finds_nothing(registry: zeep.Client) -> None:
    answer = find_documents(registry, new_case())
    assert answer.status == SUCCESS
    assert answer.RegistryErrorList is None
    assert answer.RegistryObjectList is None  # zeep's word for an element that is empty


def test_query_that_fails(registry: zeep.Client) -> None:
    answer = find(registry, FIND_DOCUMENTS, "LeafClass", XDSDocumentEntryStatus=APPROVED)
    assert answer.status == FAILURE
    [error] = answer.RegistryErrorList.RegistryError
    assert error.errorCode == "XDSStoredQueryMissingParam"
    assert "$XDSDocumentEntryPatientId" in error.codeContext


def register(client: zeep.Client, case: Case) -> Any:
    """Call ITI-42 with a submission that zeep has read into its own types."""
    envelope = etree.fromstring(case.register(DOCUMENT).encode())
    element = envelope.find(f".//{LCM}SubmitObjectsRequest")
    request = client.get_element(element.tag).parse(element, client.wsdl.types)
    return client.service["DocumentRegistry_RegisterDocumentSet-b"](
        RegistryObjectList=request.RegistryObjectList
    )


def test_submission_is_registered_and_found(registry: zeep.Client) -> None:
    case = new_case()
    answer = register(registry, case)
    assert answer.status == SUCCESS, answer.RegistryErrorList
    everything = find(
        registry,
        GET_ALL,
        "LeafClass",
        patientId=f"'{case.patient}^^^&2.999.1.1&ISO'",
        XDSDocumentEntryStatus=APPROVED,
        XDSSubmissionSetStatus=APPROVED,
        XDSFolderStatus=APPROVED,
    )
    assert sorted(kinds(everything)) == ["Association", "ExtrinsicObject", "RegistryPackage"]


def test_submission_that_is_refused(registry: zeep.Client) -> None:
    case = new_case()
    assert register(registry, case).status == SUCCESS
    answer = register(registry, case)
    assert answer.status == FAILURE
    [error] = answer.RegistryErrorList.RegistryError
    assert error.errorCode == "XDSDuplicateUniqueIdInRegistry"


def test_documents_come_in_simple_soap(server: Server, repository: zeep.Client) -> None:
    """A client without MTOM provides and retrieves with base64 in the envelope."""
    case = new_case()
    envelope = etree.fromstring(case.provide("").encode())
    element = envelope.find(f".//{LCM}SubmitObjectsRequest")
    request = repository.get_element(element.tag).parse(element, repository.wsdl.types)
    answer = repository.service["DocumentRepository_ProvideAndRegisterDocumentSet-b"](
        SubmitObjectsRequest=request, Document=[{"id": "Document01", "_value_1": DOCUMENT}]
    )
    assert answer.status == SUCCESS, answer.RegistryErrorList
    answer = repository.service.DocumentRepository_RetrieveDocumentSet(
        DocumentRequest=[
            {"RepositoryUniqueId": REPOSITORY, "DocumentUniqueId": case.document},
            {"RepositoryUniqueId": REPOSITORY, "DocumentUniqueId": "2.999.41.404"},
        ]
    )
    [document] = answer.DocumentResponse
    assert (document.mimeType, document.Document) == ("text/plain", DOCUMENT)
    [error] = answer.RegistryResponse.RegistryErrorList.RegistryError
    assert (error.errorCode, error.location) == ("XDSDocumentUniqueIdError", "2.999.41.404")


# --- updates and removals ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def lawful(tmp_path_factory: pytest.TempPathFactory, databases: Databases) -> Iterator[Server]:
    """A server that updates and removes."""
    data = tmp_path_factory.mktemp("lawful")
    options = {"metadata_update": "yes", "restricted_update": "yes"}
    removals = {"remove_metadata": "yes", "remove_documents": "unreferenced"}
    with serving(data, {"database": databases.url(data), **options, **removals}) as served:
        yield served


def bound(client: zeep.Client, operation: str) -> Any:
    """Return the service of the port that has an operation: some have the messages of others."""
    (service,) = client.wsdl.services.values()
    (name,) = [
        name
        for name, port in service.ports.items()
        if operation in port.binding._operations  # zeep tells of it in no other way
    ]
    return client.bind(service.name, name)


def submitted(client: zeep.Client, operation: str, submission: Submission) -> Any:
    """Call an operation with a submission that zeep has read into its own types."""
    element = etree.fromstring(submission.render().encode())
    request = client.get_element(element.tag).parse(element, client.wsdl.types)
    return bound(client, operation)[operation](RegistryObjectList=request.RegistryObjectList)


def test_a_document_is_updated_and_removed(lawful: Server) -> None:
    """ITI-57, ITI-92, ITI-62 and ITI-86, each by what the contract says of it."""
    registry = zeep.Client(f"{lawful.registry_url}?wsdl=choice")
    repository = zeep.Client(f"{lawful.repository_url}?wsdl=choice")
    made = entry_of("ZEEP1^^^&2.999.1.1&ISO", "text/plain")
    asked = {"$XDSDocumentEntryUniqueId": [made.unique_id or ""]}
    with DocumentSource(lawful.repository_url) as source:
        content = Content((DOCUMENT,), len(DOCUMENT))
        source.provide_and_register(submission_of([made]), {made.entry_uuid: content})
    with DocumentConsumer(lawful.registry_url) as consumer:
        for operation, title in ((UPDATE, "by ITI-57"), (RESTRICTED_UPDATE, "by ITI-92")):
            (latest,) = consumer.stored_query(GET_DOCUMENTS, asked).document_entries
            update = update_of(latest, next_version(latest, title=title))
            answer = submitted(registry, operation, update)
            assert answer.status == SUCCESS, answer.RegistryErrorList
            (latest,) = consumer.stored_query(GET_DOCUMENTS, asked).document_entries
            assert latest.title == title
        refused = submitted(registry, UPDATE, update)
        assert refused.status == FAILURE
        going = removal_of(consumer, [made.unique_id or ""])
    refs = [{"id": one} for one in going.entry_uuids]
    answer = bound(registry, DELETE)[DELETE](ObjectRefList={"ObjectRef": refs})
    assert answer.status == SUCCESS, answer.RegistryErrorList
    (one,) = going.documents
    request = {
        "RepositoryUniqueId": one.repository_unique_id,
        "DocumentUniqueId": one.document_unique_id,
    }
    remove = repository.service.DocumentRepository_RemoveDocuments
    assert [remove(DocumentRequest=[request]).status for _ in range(2)] == [SUCCESS, FAILURE]


def test_fault_is_understood(server: Server, registry: zeep.Client) -> None:
    message = new_case().find().replace("RegistryStoredQuery<", "NoSuchTransaction<")
    answer = registry.transport.post(
        server.registry_url, message.encode(), {"Content-Type": SIMPLE}
    )
    binding = registry.service._binding
    operation = binding._operations["DocumentRegistry_RegistryStoredQuery"]
    with pytest.raises(zeep.exceptions.Fault, match="is not supported here") as caught:
        binding.process_reply(registry, operation, answer)
    assert caught.value.code == "s:Sender"
    [subcode] = caught.value.subcodes
    assert subcode == f"{{{NS['wsa']}}}ActionNotSupported"
