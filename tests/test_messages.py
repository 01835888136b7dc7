"""The example messages of the facts: each request of a transaction served here, and its answer."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from lxml import etree

from tests.reference import MESSAGES, needs
from tests.serving import Server, serving
from tests.soap.messages import (
    ITI18,
    ITI41,
    ITI42,
    ITI43,
    Transaction,
    changed,
    mtom_type,
    multipart,
    part,
    root_part,
)
from tests.soap.wire import NS, PARTIAL_SUCCESS, SUCCESS, Answer, name_of, post

pytestmark = needs(MESSAGES)

DOMAIN = {"home_community_id": "2.999.1.4", "assigning_authority": "2.999.1.1"}
DOCUMENT = b"Discharge note for patient P0001.\r\nNo further action.\n"
TARGET = "urn:uuid:aaaaaaaa-0000-4000-8000-000000000001"
"""The DocumentEntry that the example of a replacement replaces."""

SENT = {
    "iti18-finddocuments-request.xml",
    "iti18-getdocuments-request.xml",
    "iti41-request.http",
    "iti41-request.xml",
    "iti42-request.xml",
    "iti42-request-async.xml",
    "iti42-request-replace-folder.xml",
    "iti43-request.http",
    "iti43-request.xml",
    "xua-iti18-request.xml",
}
"""What the tests below send."""


def text_of(name: str) -> str:
    return (MESSAGES / name).read_text(encoding="utf-8")


def post_http(server: Server, transaction: Transaction, name: str) -> Answer:
    """Send a file that is a whole HTTP message: its content type and its body."""
    head, _, body = (MESSAGES / name).read_bytes().partition(b"\r\n\r\n")
    content_type = re.search(rb"(?im)^Content-Type: (.*?)\r?$", head)
    assert content_type
    return post(server, transaction, body, content_type[1].decode())


def body_of(name: str) -> bytes:
    """Return the body of an example answer in canonical form, without white space between."""
    parser = etree.XMLParser(remove_blank_text=True)
    return canonical(etree.fromstring((MESSAGES / name).read_bytes(), parser).find("s:Body", NS)[0])


def canonical(element: etree._Element) -> bytes:
    form: bytes = etree.tostring(element, method="c14n", exclusive=True, with_tail=False)
    return form


def entries_of(answer: Answer) -> dict[str, etree._Element]:
    """Return the DocumentEntries of a query's answer by their uniqueIds."""
    assert answer.status == SUCCESS, answer.errors
    path = 'rim:ExternalIdentifier[rim:Name/rim:LocalizedString/@value="XDSDocumentEntry.uniqueId"]'
    return {
        entry.xpath(f"string({path}/@value)", namespaces=NS): entry
        for entry in answer.body.iter(name_of("rim:ExtrinsicObject"))
    }


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Serve where the document of the examples has been provided."""
    with serving(tmp_path_factory.mktemp("repository"), DOMAIN) as server:
        answer = post_http(server, ITI41, "iti41-request.http")
        assert answer.is_mtom
        assert canonical(answer.body) == body_of("iti41-response.xml")
        yield server


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Serve where the DocumentEntry of the examples has been registered."""
    with serving(tmp_path_factory.mktemp("registry"), DOMAIN) as server:
        answer = post(server, ITI42, text_of("iti42-request.xml"))
        assert canonical(answer.body) == body_of("iti42-response.xml")
        yield server


def test_every_request_is_among_those_sent() -> None:
    served = re.compile(r"(iti(18|41|42|43)-.*request.*|xua-.*)")
    assert {path.name for path in MESSAGES.iterdir() if served.fullmatch(path.name)} == SENT


def test_envelope_of_iti41_with_its_document(repository: Server) -> None:
    envelope = changed(text_of("iti41-request.xml"), "2.999.2.1", "2.999.2.11")
    document = part(DOCUMENT, "<doc1@xds.example.org>")
    answer = post(repository, ITI41, multipart(root_part(envelope), document), mtom_type())
    assert answer.status == SUCCESS, answer.errors


def test_envelope_of_iti41_with_another_document(repository: Server) -> None:
    envelope = changed(text_of("iti41-request.xml"), "2.999.2.1", "2.999.2.12")
    document = part(DOCUMENT + b"\n", "<doc1@xds.example.org>")
    answer = post(repository, ITI41, multipart(root_part(envelope), document), mtom_type())
    assert {code for code, _ in answer.errors} == {"XDSNonIdenticalHash", "XDSNonIdenticalSize"}


def test_envelope_of_iti41_alone(repository: Server) -> None:
    answer = post(repository, ITI41, text_of("iti41-request.xml"))
    assert "a part that the message does not have" in answer.fault.reason


def test_iti43(repository: Server) -> None:
    answer = post_http(repository, ITI43, "iti43-request.http")
    assert answer.is_mtom
    assert answer.status == PARTIAL_SUCCESS
    assert answer.documents == {"2.999.3.1": DOCUMENT}
    [error] = answer.body.iter(name_of("rs:RegistryError"))
    assert error.get("errorCode") == "XDSDocumentUniqueIdError"
    assert error.get("location") == "2.999.3.404"
    assert "2.999.3.404" in error.get("codeContext")


def test_envelope_of_iti43_alone(repository: Server) -> None:
    answer = post(repository, ITI43, text_of("iti43-request.xml"))
    assert not answer.is_mtom
    assert answer.status == PARTIAL_SUCCESS
    assert answer.documents == {"2.999.3.1": DOCUMENT}


def test_provided_document_is_found(repository: Server) -> None:
    answer = post(repository, ITI18, text_of("iti18-finddocuments-request.xml"))
    assert set(entries_of(answer)) == {"2.999.3.1"}


def test_iti42_once_more(registry: Server) -> None:
    [(code, context)] = post(registry, ITI42, text_of("iti42-request.xml")).errors
    assert code == "XDSDuplicateUniqueIdInRegistry"
    assert "2.999.2.1" in context


def test_iti42_that_is_to_be_answered_elsewhere(registry: Server) -> None:
    answer = post(registry, ITI42, text_of("iti42-request-async.xml"))
    assert answer.fault.subcodes[-1] == "wsa:OnlyAnonymousAddressSupported"


def test_find_documents(registry: Server) -> None:
    query = text_of("iti18-finddocuments-request.xml")
    found = entries_of(post(registry, ITI18, query))
    [example] = etree.fromstring(
        (MESSAGES / "iti18-finddocuments-response-leafclass.xml").read_bytes()
    ).iter(name_of("rim:ExtrinsicObject"))
    assert described(found["2.999.3.1"]) == described(example)


def described(entry: etree._Element) -> set[tuple[str, ...]]:
    """Return what a DocumentEntry says, without the ids that a registry gives."""
    attributes = {
        (name, value) for name, value in entry.attrib.items() if name not in ("id", "lid")
    }
    slots = {
        ("slot", slot.get("name"), *(value.text for value in slot.iter(name_of("rim:Value"))))
        for slot in entry.iterfind("rim:Slot", NS)
    }
    codes = {
        (one.get("classificationScheme"), one.get("nodeRepresentation"), "".join(one.itertext()))
        for one in entry.iterfind("rim:Classification", NS)
    }
    return attributes | slots | codes


def test_find_documents_for_object_refs(registry: Server) -> None:
    query = text_of("iti18-finddocuments-request.xml")
    [entry] = entries_of(post(registry, ITI18, query)).values()
    answer = post(registry, ITI18, changed(query, '"LeafClass"', '"ObjectRef"'))
    [reference] = answer.body.iter(name_of("rim:ObjectRef"))
    assert reference.attrib == {"id": entry.get("id"), "home": "urn:oid:2.999.1.4"}


def test_find_documents_without_status(registry: Server) -> None:
    query = text_of("iti18-finddocuments-request.xml")
    query = re.sub(r'<rim:Slot name="\$XDSDocumentEntryStatus">.*?</rim:Slot>', "", query)
    answer = post(registry, ITI18, query)
    [(code, context)] = answer.errors
    assert code == "XDSStoredQueryMissingParam"
    assert "$XDSDocumentEntryStatus" in context
    assert len(answer.body.find("rim:RegistryObjectList", NS)) == 0


def test_query_with_a_security_header(registry: Server) -> None:
    """Nobody asks for assertions here, so what comes is passed over."""
    assert post(registry, ITI18, text_of("xua-iti18-request.xml")).status == SUCCESS


def test_replacement_with_folder_and_get_documents(tmp_path: Path) -> None:
    with serving(tmp_path / "served", DOMAIN) as server:
        original = changed(text_of("iti42-request.xml"), '"Document01"', f'"{TARGET}"')
        assert post(server, ITI42, original).status == SUCCESS
        answer = post(server, ITI42, text_of("iti42-request-replace-folder.xml"))
        assert canonical(answer.body) == body_of("iti42-response.xml")
        query = text_of("iti18-finddocuments-request.xml")
        assert set(entries_of(post(server, ITI18, query))) == {"2.999.3.2"}
        [replaced] = entries_of(
            post(server, ITI18, text_of("iti18-getdocuments-request.xml"))
        ).values()
        assert replaced.get("id") == TARGET
        assert replaced.get("status").endswith(":Deprecated")


def test_replacement_of_what_is_not_registered(registry: Server) -> None:
    answer = post(registry, ITI42, text_of("iti42-request-replace-folder.xml"))
    [(code, context)] = answer.errors
    assert code == "UnresolvedReferenceException"
    assert TARGET in context
