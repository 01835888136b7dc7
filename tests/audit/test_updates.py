"""What is recorded of updates and removals (ITI TF-2 3.57.5.1, 3.62.5.1, 3.86.5.1, 3.92.5.1)."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.audit.test_records import recorded
from tests.databases import Databases
from tests.registry import wire
from tests.registry.conftest import UPDATES
from tests.registry.violations import message, registered
from tests.registry.wire import World
from tests.serving import Server, serving
from xds.client import Content, DocumentAdministrator, DocumentSource, entry_of, submission_of
from xds.metadata import vocabulary as v


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory, databases: Databases) -> Iterator[Server]:
    data = tmp_path_factory.mktemp("audited")
    options = {
        **UPDATES,
        "audit": "on",
        "remove_documents": "any",
        "repository_unique_id": "2.999.1.3",
        "database": databases.url(data),
    }
    with serving(data, options) as server:
        yield server


def _told(record: dict[str, Any]) -> tuple[Any, ...]:
    return (record["transaction"], record["event"][2], record["action"], record["outcome"])


@pytest.mark.shows("ITI-57", "ITI-92", "ITI-62")
def test_updates_and_removals_of_metadata_are_recorded(audited: Server, world: World) -> None:
    registered("iti42/preassigned_uuids")(audited, world)
    wire.accept(audited, message(world, "iti57/document_version"))
    again = wire.send(audited, message(world, "iti92/document_version"))
    assert again.codes == ["XDSMetadataVersionError"]
    wire.accept(audited, message(world, "iti62/one_document"))
    found = recorded(audited, world.patient(1), 4)
    assert [_told(one) for one in found[1:]] == [
        ("ITI-57", "Import", "U", 0),
        ("ITI-92", "Import", "U", 4),
        ("ITI-62", "Patient Record", "D", 0),
    ]
    removed = {one["id"]: one["id_type"] for one in found[-1]["things"]}
    assert removed == {
        world.uuid(14): [v.STABLE_DOCUMENT_ENTRY, "IHE XDS Metadata", "document entry object type"],
        world.uuid(34): [v.HAS_MEMBER, "IHE XDS Metadata", "association type"],
    }


@pytest.mark.shows("ITI-86")
def test_a_removal_of_a_document_is_recorded(audited: Server, world: World) -> None:
    patient = world.patient(2)
    entry = entry_of(patient, "text/plain").updated(repository_unique_id="2.999.1.3")
    with DocumentSource(audited.repository_url) as source:
        content = Content(lambda: (b"A note.",), 7)
        source.provide_and_register(submission_of([entry]), {entry.entry_uuid: content})
    with DocumentAdministrator(repository_url=audited.repository_url) as administrator:
        administrator.remove_documents([entry])
    found = recorded(audited, patient, 2)
    assert _told(found[-1]) == ("ITI-86", "Patient Record", "D", 0)
    (document,) = found[-1]["things"]
    assert document["id"] == entry.unique_id
    assert document["details"] == [["urn:ihe:iti:xds:2007:repositoryUniqueId", "2.999.1.3"]]


@pytest.fixture
def world() -> World:
    """Names that no other test has."""
    return World.new()
