"""What a repository refuses, through the wire (ITI TF-2 3.41.4.1.3, 3.43.4.1.3)."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha1
from pathlib import Path

import pytest

from tests.documents import kept
from tests.serving import Server, serving
from tests.soap.messages import (
    INCLUDE,
    ITI18,
    ITI41,
    ITI43,
    REPOSITORY,
    Case,
    changed,
    in_base64,
    mtom_type,
    multipart,
    new_case,
    part,
    root_part,
)
from tests.soap.wire import FAILURE, NS, PARTIAL_SUCCESS, SUCCESS, Answer, name_of, post, provide
from xds.metadata import vocabulary as v

DOCUMENT = b"Nothing to report.\n"
CREATION_TIME = '<rim:Slot name="creationTime">'
ENTRY = '<xds:Document id="Document01">'

shows = pytest.mark.shows


def told(answer: Answer) -> list[tuple[str, str]]:
    """Return the code and the location of every error."""
    return [
        (error.get("errorCode"), error.get("location"))
        for error in answer.body.iter(name_of("rs:RegistryError"))
    ]


def stored(server: Server) -> set[str]:
    """Name everything in the document store."""
    return kept(server.store())


def found(server: Server, case: Case) -> int:
    """Return how many documents the registry has of the patient of a case."""
    answer = post(server, ITI18, case.find())
    return len(answer.body.findall("rim:RegistryObjectList/*", NS))


def with_slot(name: str, value: str) -> Callable[[str], str]:
    slot = (
        f'<rim:Slot name="{name}"><rim:ValueList><rim:Value>{value}</rim:Value></rim:ValueList>'
        "</rim:Slot>"
    )
    return lambda text: changed(text, CREATION_TIME, slot + CREATION_TIME)


def offer(server: Server, text: str, document: bytes = DOCUMENT) -> Answer:
    """Send an envelope of ITI-41 with one document as MTOM."""
    body = multipart(root_part(text), part(document))
    return post(server, ITI41, body, mtom_type(action=ITI41.action))


# --- ITI-41 --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Violation:
    """One change that makes a good ITI-41 wrong, and the errors that must follow."""

    name: str
    edit: Callable[[str], str]
    errors: tuple[tuple[str, str], ...]


def _one_more(text: str) -> str:
    more = f'<xds:Document id="Document02">{in_base64(b"more")}</xds:Document>'
    return changed(text, ENTRY, more + ENTRY)


def _other_document(text: str) -> str:
    return changed(text, ENTRY, '<xds:Document id="Document02">')


def _without_document(text: str) -> str:
    return changed(text, f"{ENTRY}{INCLUDE}</xds:Document>", "")


def _twice(text: str) -> str:
    return changed(text, ENTRY, f"{ENTRY}{in_base64(DOCUMENT)}</xds:Document>{ENTRY}")


def _on_demand(text: str) -> str:
    return changed(text, v.STABLE_DOCUMENT_ENTRY, v.ON_DEMAND_DOCUMENT_ENTRY)


def _no_class_code(text: str) -> str:
    return changed(text, v.DOCUMENT_ENTRY_CLASS_CODE, v.DOCUMENT_ENTRY_EVENT_CODE_LIST)


METADATA = "XDSRepositoryMetadataError"
VIOLATIONS = (
    Violation("no document", _without_document, (("XDSMissingDocument", "Document01"),)),
    Violation("a document too many", _one_more, (("XDSMissingDocumentMetadata", "Document02"),)),
    Violation(
        "a document of another entry",
        _other_document,
        (("XDSMissingDocument", "Document01"), ("XDSMissingDocumentMetadata", "Document02")),
    ),
    Violation("two documents of one entry", _twice, ((METADATA, "Document01"),)),
    Violation("another hash", with_slot("hash", "f" * 40), ((METADATA, "Document01"),)),
    Violation("another size", with_slot("size", "1"), ((METADATA, "Document01"),)),
    Violation("an On-Demand entry", _on_demand, ((METADATA, "Document01"),)),
    Violation(
        "what the registry refuses",
        _no_class_code,
        (("XDSRegistryMetadataError", "Document01"),),
    ),
    Violation(
        "what the schema refuses",
        lambda text: changed(text, '<rim:Slot name="languageCode">', "<rim:Slot>"),
        ((METADATA, ""),),
    ),
)


@pytest.mark.parametrize(
    "violation",
    [
        pytest.param(
            one, id=one.name, marks=shows("ITI-41", *{f"error {c}" for c, _ in one.errors})
        )
        for one in VIOLATIONS
    ],
)
def test_what_cannot_be_provided_is_refused_and_leaves_nothing(
    server: Server, violation: Violation
) -> None:
    case = new_case()
    before = stored(server)
    answer = offer(server, violation.edit(case.provide()))
    assert (answer.status, tuple(told(answer))) == (FAILURE, violation.errors), answer.errors
    assert (stored(server), found(server, case)) == (before, 0)


@shows("ITI-41")
@pytest.mark.parametrize(
    "edit",
    [
        pytest.param(with_slot("hash", sha1(DOCUMENT).hexdigest().upper()), id="hash in capitals"),
        pytest.param(with_slot("size", str(len(DOCUMENT))), id="size"),
        pytest.param(with_slot("repositoryUniqueId", "2.999.1.99"), id="another repository"),
    ],
)
def test_what_the_sender_knows_is_compared_or_replaced(
    server: Server, edit: Callable[[str], str]
) -> None:
    case = new_case()
    assert offer(server, edit(case.provide())).status == SUCCESS
    answer = post(server, ITI18, case.find())
    (entry,) = answer.body.findall("rim:RegistryObjectList/rim:ExtrinsicObject", NS)
    values = {
        slot.get("name"): slot.findtext("rim:ValueList/rim:Value", "", NS)
        for slot in entry.iterfind("rim:Slot", NS)
    }
    assert values["repositoryUniqueId"] == REPOSITORY
    assert values["hash"].lower() == sha1(DOCUMENT).hexdigest()
    assert values["size"] == str(len(DOCUMENT))


@shows("error XDSNonIdenticalHash", "error XDSNonIdenticalSize")
@pytest.mark.parametrize(
    ("other", "codes"),
    [
        (b"Much to report....\n", {"XDSNonIdenticalHash"}),
        (b"Much.\n", {"XDSNonIdenticalHash", "XDSNonIdenticalSize"}),
    ],
)
def test_another_document_of_the_same_unique_id_is_refused(
    server: Server, other: bytes, codes: set[str]
) -> None:
    case = new_case()
    provide(server, case, DOCUMENT)
    before = stored(server)
    anew = changed(case.provide(), f"2.999.41.{case.number}.1", f"2.999.41.{case.number}.9")
    answer = offer(server, anew, other)
    assert (answer.status, {code for code, _ in answer.errors}) == (FAILURE, codes)
    assert all(case.document in context for _, context in answer.errors)
    assert (stored(server), found(server, case)) == (before, 1)


@shows("ITI-41")
def test_the_same_document_may_be_provided_again(server: Server) -> None:
    case = new_case()
    provide(server, case, DOCUMENT)
    before = stored(server)
    anew = changed(case.provide(), f"2.999.41.{case.number}.1", f"2.999.41.{case.number}.9")
    assert offer(server, anew).status == SUCCESS
    assert (stored(server), found(server, case)) == (before, 2)


@shows("behaviour white space")
def test_a_unique_id_in_white_space_is_the_unique_id(server: Server) -> None:
    case = new_case()
    padded = case.document, f" {case.document}\n"
    envelope = changed(case.provide(), f'value="{padded[0]}"', f'value=" {padded[1]}"')
    assert offer(server, changed(envelope, '<xds:Document id="', '<xds:Document id=" ')).status == (
        SUCCESS
    )
    for one in padded:
        asked = changed(case.retrieve(), f">{case.document}<", f">{one}<")
        answer = ask(server, changed(asked, f">{REPOSITORY}<", f"> {REPOSITORY}\n<"))
        assert (answer.status, list(answer.documents.values())) == (SUCCESS, [DOCUMENT])


# --- ITI-43 --------------------------------------------------------------------------------------


def ask(server: Server, text: str) -> Answer:
    """Send an envelope of ITI-43 as MTOM."""
    return post(server, ITI43, multipart(root_part(text)), mtom_type(action=ITI43.action))


@shows("ITI-43", "error XDSUnknownRepositoryId")
def test_another_repository_is_unknown(server: Server) -> None:
    case = new_case()
    provide(server, case, DOCUMENT)
    answer = ask(server, changed(case.retrieve(), f">{REPOSITORY}<", ">2.999.1.99<"))
    assert (answer.status, told(answer)) == (FAILURE, [("XDSUnknownRepositoryId", case.document)])
    assert answer.documents == {}


def test_a_prefix_too_many_is_told(server: Server) -> None:
    text = changed(new_case().retrieve(), f">{REPOSITORY}<", f">urn:oid:{REPOSITORY}<")
    [(code, context)] = ask(server, text).errors
    assert code == "XDSUnknownRepositoryId"
    assert context.endswith("a repositoryUniqueId stands without urn:oid:")


@shows("ITI-43", "error XDSDocumentUniqueIdError")
def test_an_unknown_document_is_an_error(server: Server) -> None:
    case = new_case()
    answer = ask(server, case.retrieve())
    assert (answer.status, told(answer)) == (FAILURE, [("XDSDocumentUniqueIdError", case.document)])


@shows("ITI-43", "error XDSDocumentUniqueIdError")
def test_a_document_that_is_lost_is_an_error(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        case = new_case()
        before = stored(server)
        provide(server, case, DOCUMENT)
        (lost,) = stored(server) - before
        server.store().delete(lost)
        answer = ask(server, case.retrieve())
        assert told(answer) == [("XDSDocumentUniqueIdError", case.document)]


@shows("ITI-43")
def test_what_is_there_is_given_beside_errors(server: Server) -> None:
    case, missing = new_case(), new_case()
    provide(server, case, DOCUMENT)
    end = "</xds:RetrieveDocumentSetRequest>"
    (wanted,) = missing.retrieve().partition("<xds:DocumentRequest>")[2:]
    more = "<xds:DocumentRequest>" + wanted.partition(end)[0]
    answer = ask(server, changed(case.retrieve(), end, more + end))
    assert answer.status == PARTIAL_SUCCESS
    assert told(answer) == [("XDSDocumentUniqueIdError", missing.document)]
    assert answer.documents == {case.document: DOCUMENT}


@pytest.fixture(scope="module")
def at_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of a community with an id."""
    with serving(tmp_path_factory.mktemp("home"), {"home_community_id": "2.999.1.4"}) as running:
        yield running


def _of_home(text: str, home: str) -> str:
    start = "<xds:DocumentRequest>"
    named = f"{start}<xds:HomeCommunityId>urn:oid:{home}</xds:HomeCommunityId>"
    return changed(text, start, named)


@shows("ITI-43", "error XDSUnknownCommunity")
def test_another_community_is_unknown(at_home: Server) -> None:
    case = new_case()
    provide(at_home, case, DOCUMENT)
    answer = ask(at_home, _of_home(case.retrieve(), "2.999.1.5"))
    assert told(answer) == [("XDSUnknownCommunity", case.document)]
    assert "urn:oid:2.999.1.5 is not served here" in answer.errors[0][1]
    answer = ask(at_home, changed(_of_home(case.retrieve(), "2.999.1.4"), ">urn:oid:", ">"))
    [(code, context)] = answer.errors
    assert code == "XDSUnknownCommunity"
    assert context.endswith("a homeCommunityId begins with urn:oid:")


@shows("ITI-43")
def test_the_community_is_named_if_it_was(at_home: Server) -> None:
    case = new_case()
    provide(at_home, case, DOCUMENT)
    for text, home in (
        (case.retrieve(), None),
        (_of_home(case.retrieve(), "2.999.1.4"), "urn:oid:2.999.1.4"),
    ):
        answer = ask(at_home, text)
        assert answer.documents == {case.document: DOCUMENT}
        assert answer.body.findtext("xds:DocumentResponse/xds:HomeCommunityId", None, NS) == home


@shows("ITI-43", "error XDSRepositoryError")
def test_a_request_that_breaks_the_schema_is_refused(server: Server) -> None:
    text = changed(new_case().retrieve(), "xds:DocumentUniqueId>", "xds:UniqueId>")
    answer = ask(server, text)
    assert answer.status == FAILURE
    assert {code for code, _ in answer.errors} == {"XDSRepositoryError"}
