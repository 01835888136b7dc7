"""Removal of metadata and documents through the wire: what goes, what is refused, what is told."""

from pathlib import Path

import pytest
from click.testing import CliRunner
from lxml import etree

from tests.registry import edits, wire
from tests.registry.violations import message, registered
from tests.registry.wire import Answer, World
from tests.serving import Server
from xds.__main__ import main
from xds.client import DocumentSource, submission_of
from xds.client.submitting import entry_of_file
from xds.database.access import Database
from xds.metadata import vocabulary as v
from xds.metadata.ebrim import RIM
from xds.metadata.objects import Code, DocumentEntry, SubmissionSet
from xds.registry.events import REMOVED
from xds.registry.registry import DocumentRegistry

shows = pytest.mark.shows
UUID = "urn:uuid:00000000-0000-4000-8000-0000000000"
REPOSITORY = "2.999.1.3"


@pytest.fixture
def filled(update_server: Server, world: World) -> Server:
    registered("iti42/preassigned_uuids")(update_server, world)
    return update_server


def _all(server: Server, world: World) -> dict[str, bytes]:
    answer = wire.get_all(server, world.patient(1), level="2")
    return {one.get("id"): etree.tostring(one) for one in answer.elements}


def _refused(
    server: Server, world: World, fixture: str, edit: edits.Edit, actor: str = "registry"
) -> Answer:
    """Send what must be refused, and find that nothing has changed."""
    before = _all(server, world)
    answer = wire.send(server, message(world, fixture, edit), actor)
    assert answer.status == "Failure"
    assert _all(server, world) == before
    return answer


def _refs(*numbers: str) -> edits.Edit:
    """Name other objects."""

    def edit(root: etree._Element) -> None:
        (listed,) = root.iter(f"{RIM}ObjectRefList")
        for one in list(listed):
            listed.remove(one)
        for number in numbers:
            etree.SubElement(listed, f"{RIM}ObjectRef", id=f"{UUID}{number}")

    return edit


# --- metadata ------------------------------------------------------------------------------------


@shows("ITI-62", "behaviour removal")
def test_a_document_is_removed(filled: Server, world: World) -> None:
    before = _all(filled, world)
    sent = message(world, "iti62/one_document")
    wire.require_valid(sent)
    wire.accept(filled, sent)
    gone = {world.uuid(14), world.uuid(34)}
    assert _all(filled, world) == {uuid: one for uuid, one in before.items() if uuid not in gone}


@shows("behaviour removal")
def test_all_of_a_submission_is_removed_and_can_be_registered_again(
    filled: Server, world: World
) -> None:
    before = _all(filled, world)
    wire.accept(filled, message(world, "iti62/whole_submission"))
    assert _all(filled, world) == {}
    registered("iti42/preassigned_uuids")(filled, world)
    assert _all(filled, world).keys() == before.keys()


@shows("behaviour removal")
def test_what_is_of_several_patients_is_removed_at_once(filled: Server, world: World) -> None:
    named = edits.both(
        edits.replace("member-document", f"{UUID}97"),
        edits.replace("submission-set", f"{UUID}95"),
        edits.replace("document", f"{UUID}96"),
        edits.replace("2.999.3.1", "2.999.3.96"),
        edits.replace("2.999.2.1", "2.999.2.95"),
        edits.replace("P1^", "P2^"),
    )
    registered("iti42/minimal_document", named)(filled, world)
    before = _all(filled, world)
    wire.accept(filled, message(world, "iti62/one_document", _refs("14", "34", "95", "96", "97")))
    assert before.keys() - _all(filled, world).keys() == {world.uuid(14), world.uuid(34)}
    assert wire.get_all(filled, world.patient(2), level="2").elements == []


@shows("behaviour removal", "behaviour events")
def test_events_have_what_was_removed(filled: Server, world: World) -> None:
    before = _all(filled, world)
    wire.accept(filled, message(world, "iti62/whole_submission"))
    database = Database(filled.database)
    try:
        told = [
            one
            for one in DocumentRegistry(database=database).events(at_most=100_000)
            if one.kind == REMOVED and one.entry_uuid in before
        ]
    finally:
        database.close()
    assert {one.object_kind for one in told} == {"SubmissionSet", "DocumentEntry", "Folder"}
    assert len(told) == 8
    for one in told:
        assert one.patient_id == world.patient(1)
        assert one.removed is not None
        if one.object_kind != "Folder":  # its lastUpdateTime is that of the removal
            was = etree.tostring(etree.fromstring(before[one.entry_uuid or ""]), method="c14n")
            leaf = f'<rim:L xmlns:rim="{v.NS_RIM}">'.encode() + one.removed.leaf() + b"</rim:L>"
            assert _children(leaf) == _children(b"<L>" + was + b"</L>")


def _children(text: bytes) -> list[tuple[str, dict[str, str]]]:
    return [(one.tag, dict(one.attrib)) for one in etree.fromstring(text)[0].iter()]


@shows("behaviour removal")
def test_a_folder_that_loses_a_document_is_of_now(filled: Server, world: World) -> None:
    before = _all(filled, world)
    wire.accept(filled, message(world, "iti62/one_document", _refs("40", "41")))
    after = _all(filled, world)
    heart, lung = world.uuid(20), world.uuid(21)
    assert before[lung] == after[lung]
    assert before[heart] <= after[heart]


@shows("behaviour removal", "behaviour versions")
def test_the_version_before_is_the_latest_again(filled: Server, world: World) -> None:
    before = _all(filled, world)
    wire.accept(filled, message(world, "iti57/document_version"))
    new = list(_all(filled, world).keys() - before.keys())
    sent = message(world, "iti62/one_document", _refs())
    (listed,) = sent.iter(f"{RIM}ObjectRefList")
    for uuid in new:
        etree.SubElement(listed, f"{RIM}ObjectRef", id=uuid)
    wire.accept(filled, sent)
    assert _all(filled, world).keys() == before.keys()
    restored = edits.both(
        edits.add_object(
            '<rim:Association id="status-back" '
            f'associationType="{v.UPDATE_AVAILABILITY_STATUS}" sourceObject="submission-set" '
            f'targetObject="{UUID}10"><rim:Slot name="OriginalStatus"><rim:ValueList><rim:Value>'
            f'{v.DEPRECATED}</rim:Value></rim:ValueList></rim:Slot><rim:Slot name="NewStatus">'
            f"<rim:ValueList><rim:Value>{v.APPROVED}</rim:Value></rim:ValueList></rim:Slot>"
            "</rim:Association>"
        ),
        edits.remove(*(edits.association(f"status-{one}") for one in ("document", "folder"))),
    )
    wire.accept(filled, message(world, "iti57/statuses", restored))


@shows("error UnresolvedReferenceException")
def test_what_is_not_registered_cannot_be_removed(filled: Server, world: World) -> None:
    answer = _refused(filled, world, "iti62/one_document", _refs("14", "34", "99"))
    (problem,) = answer.problems
    assert (problem.code, problem.location) == ("UnresolvedReferenceException", world.uuid(99))


@shows("error ReferencesExistException")
def test_what_is_referenced_cannot_be_removed(filled: Server, world: World) -> None:
    answer = _refused(filled, world, "iti62/one_document", _refs("14"))
    (problem,) = answer.problems
    assert (problem.code, problem.location) == ("ReferencesExistException", world.uuid(14))
    assert world.uuid(34) in problem.context


@shows("error XDSUnreferencedObjectException")
def test_nothing_is_left_without_a_submission_set(filled: Server, world: World) -> None:
    answer = _refused(filled, world, "iti62/one_document", _refs("34"))
    (problem,) = answer.problems
    assert problem.code == "XDSUnreferencedObjectException"
    assert problem.context == world.uuid(14)


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        pytest.param(_refs(), "names no object", id="no object"),
        pytest.param(
            edits.attribute("//lcm:RemoveObjectsRequest", "deletionScope", "urn:example:Some"),
            "deletionScope",
            id="a scope of its own",
        ),
        pytest.param(
            edits.before(
                "//rim:ObjectRefList",
                '<rim:AdhocQuery id="urn:uuid:00000000-0000-4000-8000-000000000099"/>',
            ),
            "AdhocQuery",
            id="a query",
        ),
        pytest.param(
            edits.attribute("//rim:ObjectRef", "id", None), "attribute id", id="the schema"
        ),
    ],
)
@shows("error XDSRegistryError")
def test_a_request_that_names_nothing_is_refused(
    filled: Server, world: World, edit: edits.Edit, words: str
) -> None:
    answer = _refused(filled, world, "iti62/one_document", edit)
    assert set(answer.codes) == {"XDSRegistryError"}
    assert words in answer.problems[0].context


@shows("behaviour legal hold", "error LocalPolicyRestrictionError")
def test_what_is_on_legal_hold_by_its_code_stays(update_server: Server, world: World) -> None:
    held = edits.both(
        edits.attribute(
            f"//rim:ExtrinsicObject[@id='{UUID}14']"
            f"/rim:Classification[@classificationScheme='{v.DOCUMENT_ENTRY_CONFIDENTIALITY_CODE}']",
            "nodeRepresentation",
            "litigation",
        ),
        edits.values(
            f"//rim:ExtrinsicObject[@id='{UUID}14']"
            f"/rim:Classification[@classificationScheme='{v.DOCUMENT_ENTRY_CONFIDENTIALITY_CODE}']"
            "/rim:Slot",
            "2.999.5.30",
        ),
    )
    registered("iti42/preassigned_uuids", held)(update_server, world)
    answer = _refused(update_server, world, "iti62/one_document", edits.nothing)
    (problem,) = answer.problems
    assert (problem.code, problem.location) == ("LocalPolicyRestrictionError", world.uuid(14))


# --- documents -----------------------------------------------------------------------------------


@pytest.fixture
def provided(update_server: Server, world: World, tmp_path: Path) -> DocumentEntry:
    """A document that the server holds."""
    path = tmp_path / "note.txt"
    path.write_text(f"A note of {world.number}.")
    entry = entry_of_file(path, world.patient(1), with_hash=True).updated(
        unique_id=world.text("2.999.3.1"),
        confidentiality_code=[Code("N", "2.16.840.1.113883.5.25", "normal")],
    )
    with DocumentSource(update_server.repository_url) as source:
        source.provide_and_register(submission_of([entry]), {entry.entry_uuid: path})
    return entry


def _remove_metadata(server: Server, world: World) -> None:
    sent = message(world, "iti62/one_document", _refs())
    (listed,) = sent.iter(f"{RIM}ObjectRefList")
    for uuid in _all(server, world):
        etree.SubElement(listed, f"{RIM}ObjectRef", id=uuid)
    wire.accept(server, sent)


def _stored(server: Server) -> set[str]:
    return {one.key for one in server.store().list()}


@shows("ITI-86", "behaviour removal of documents")
@pytest.mark.usefixtures("provided")
def test_a_document_is_removed_with_its_bytes(update_server: Server, world: World) -> None:
    before = _stored(update_server)
    _remove_metadata(update_server, world)
    assert _stored(update_server) == before
    sent = message(world, "iti86/one_document")
    wire.require_valid(sent)
    answer = wire.send(update_server, sent, "repository")
    assert (answer.status, answer.problems) == ("Success", [])
    assert len(before - _stored(update_server)) == 1
    again = wire.send(update_server, sent, "repository")
    assert again.codes == ["XDSDocumentUniqueIdError"]


@shows("error XDSRemoveDocumentsError", "behaviour removal of documents")
@pytest.mark.usefixtures("provided")
def test_a_document_that_an_entry_names_stays(update_server: Server, world: World) -> None:
    before = _stored(update_server)
    answer = _refused(update_server, world, "iti86/one_document", edits.nothing, "repository")
    (problem,) = answer.problems
    assert problem.code == "XDSRemoveDocumentsError"
    assert problem.location == world.text("2.999.3.1")
    assert _stored(update_server) == before


@shows("error XDSUnknownRepositoryId")
@pytest.mark.usefixtures("provided")
def test_documents_go_together_or_not_at_all(update_server: Server, world: World) -> None:
    _remove_metadata(update_server, world)
    before = _stored(update_server)
    elsewhere = edits.copy_as("//xds:DocumentRequest", {})

    def other(root: etree._Element) -> None:
        elsewhere(root)
        list(root.iter(f"{{{v.NS_XDS}}}RepositoryUniqueId"))[1].text = "2.999.1.99"

    answer = _refused(update_server, world, "iti86/one_document", other, "repository")
    assert answer.codes == ["XDSUnknownRepositoryId"]
    assert _stored(update_server) == before


@shows("error XDSUnknownRepositoryId", "error XDSDocumentUniqueIdError")
@pytest.mark.usefixtures("provided")
def test_all_that_speaks_against_a_removal_is_told(update_server: Server, world: World) -> None:
    before = _stored(update_server)
    again = edits.copy_as("//xds:DocumentRequest", {})

    def others(root: etree._Element) -> None:
        again(root)
        again(root)
        list(root.iter(f"{{{v.NS_XDS}}}RepositoryUniqueId"))[1].text = "2.999.1.99"
        list(root.iter(f"{{{v.NS_XDS}}}DocumentUniqueId"))[2].text = "2.999.3.99"

    answer = _refused(update_server, world, "iti86/one_document", others, "repository")
    own = world.text("2.999.3.1")
    assert [(one.code, one.location) for one in answer.problems] == [
        ("XDSUnknownRepositoryId", own),
        ("XDSRemoveDocumentsError", own),
        ("XDSDocumentUniqueIdError", world.text("2.999.3.99")),
    ]
    assert _stored(update_server) == before


@shows("behaviour legal hold")
@pytest.mark.usefixtures("provided")
def test_a_document_that_is_marked_is_on_legal_hold(update_server: Server, world: World) -> None:
    unique_id = world.text("2.999.3.1")
    database = Database(update_server.database)
    registry = DocumentRegistry(database=database)
    registry.hold([unique_id], reason="a case")
    assert unique_id in {one.unique_id for one in registry.holds()}
    sent = message(world, "iti62/one_document", _refs())
    (listed,) = sent.iter(f"{RIM}ObjectRefList")
    for uuid in _all(update_server, world):
        etree.SubElement(listed, f"{RIM}ObjectRef", id=uuid)
    assert wire.send(update_server, sent).codes == ["LocalPolicyRestrictionError"]
    answer = _refused(update_server, world, "iti86/one_document", edits.nothing, "repository")
    assert answer.codes == ["XDSRemoveDocumentsError"]
    assert "legal hold" in answer.problems[0].context
    assert registry.release([unique_id]) == [unique_id]
    database.close()
    wire.accept(update_server, sent)


# --- the commands --------------------------------------------------------------------------------


def _run(*arguments: str) -> str:
    done = CliRunner().invoke(main, list(arguments))
    assert done.exit_code == 0, done.output
    return done.output


@shows("behaviour removal of documents")
def test_the_command_removes_metadata_and_documents(
    update_server: Server, world: World, provided: DocumentEntry
) -> None:
    before, stored = _all(update_server, world), _stored(update_server)
    unique_id = provided.unique_id or ""
    told = _run("remove", unique_id, "--url", update_server.url, "--dry-run")
    assert all(uuid in told for uuid in before)
    assert _all(update_server, world) == before
    _run("remove", unique_id, "--url", update_server.url)
    assert _all(update_server, world) == {}
    assert len(stored - _stored(update_server)) == 1


def test_the_command_tells_what_is_not_registered(
    update_server: Server, provided: DocumentEntry
) -> None:
    at = ("--url", update_server.url)
    refused = CliRunner().invoke(main, ["remove", "2.999.3.88", "2.999.3.89", *at])
    assert refused.exit_code == 1
    assert "Not registered: 2.999.3.88, 2.999.3.89." in refused.output
    done = CliRunner().invoke(main, ["remove", provided.unique_id or "", "2.999.3.88", *at])
    assert done.exit_code == 0, done.output
    assert "Not registered: 2.999.3.88." in done.output
    assert "3 objects and 1 document removed." in done.output


@shows("behaviour removal of documents")
def test_the_command_removes_a_document_whose_metadata_are_gone(
    update_server: Server, world: World, provided: DocumentEntry
) -> None:
    """Where ITI-86 fails after ITI-62 was done, the command says how it can be done again."""
    unique_id, stored = provided.unique_id or "", _stored(update_server)
    nowhere = f"{update_server.url}/nowhere"
    at = ("--registry", update_server.registry_url)
    failed = CliRunner().invoke(main, ["remove", unique_id, *at, "--repository", nowhere])
    assert failed.exit_code == 1
    assert "The metadata are removed; the documents are not." in failed.output
    assert _all(update_server, world) == {}
    assert _stored(update_server) == stored
    (advice,) = (one.split() for one in failed.output.splitlines() if "xds remove" in one)
    assert advice[-1] == unique_id
    _run(*advice[1:], "--url", update_server.url)
    assert len(stored - _stored(update_server)) == 1


@shows("ITI-57", "ITI-92")
def test_the_command_updates_a_document(
    update_server: Server, world: World, provided: DocumentEntry
) -> None:
    unique_id, at = provided.unique_id or "", ("--url", update_server.url)
    restricted = "R^restricted^2.16.840.1.113883.5.25"
    changes = ("--title", "Corrected", "--confidentiality-code", restricted)
    before = _all(update_server, world)
    told = _run("update", unique_id, *changes, "--dry-run", *at)
    assert "Corrected" in told
    assert "confidentialityCode" in told
    assert _all(update_server, world) == before
    _run("update", unique_id, *changes, *at)
    _run("update", unique_id, "--title", "Once more", "--restricted", *at)
    _run("update", unique_id, "--status", "deprecated", *at)
    assert "Nothing would change." in _run("update", unique_id, "--status", "deprecated", *at)
    entries = [
        one
        for one in wire.get_all(update_server, world.patient(1), level="2").objects.values()
        if isinstance(one, DocumentEntry)
    ]
    told_versions = [(one.version, one.title, one.status) for one in entries]
    assert told_versions == [
        ("1", provided.title, v.DEPRECATED),
        ("2", "Corrected", v.DEPRECATED),
        ("3", "Once more", v.DEPRECATED),
    ]
    _run("remove", unique_id, *at)
    left = wire.get_all(update_server, world.patient(1), level="2").objects.values()
    assert [type(one) for one in left] == [SubmissionSet]  # that of the change of the status


@shows("behaviour legal hold")
def test_the_command_holds_documents(update_server: Server, world: World) -> None:
    database = ("--data", str(update_server.data), "--database", update_server.database)
    unique_id = world.text("2.999.3.77")
    _run("hold", *database, unique_id, "--reason", "case 7")
    told = _run("hold", *database)
    assert unique_id in told
    assert "case 7" in told
    _run("hold", *database, "--release", unique_id)
    assert unique_id not in _run("hold", *database)
    again = CliRunner().invoke(main, ["hold", *database, "--release", unique_id])
    assert again.exit_code == 1
