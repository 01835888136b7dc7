"""Messages that real senders send end as expected, under the reference configuration.

Each comes to a deployment that has nothing of it: what was filed of others is forgotten before.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest
from sqlalchemy import delete

from tests.databases import Databases
from tests.messaging.filing import FilingWorld, filing_world
from tests.messaging.reference import SAMPLES, Sample, samples, write_flavours
from tests.reference import needs
from xds.hl7v2.message import Message
from xds.messaging.filing import FilingOutcome, IncomingMessage
from xds.messaging.flavours.reading import read_flavours
from xds.messaging.flavours.table import FlavourTable
from xds.messaging.tables import message, message_number, report
from xds.messaging.v2.reading import envelope_of, read
from xds.messaging.verdicts import ContentRefused
from xds.metadata.objects import DocumentEntry
from xds.security.caller import Caller
from xds.security.node import Node

pytestmark = needs(SAMPLES)


class Reference(NamedTuple):
    """A deployment with the flavours of the reference configuration."""

    world: FilingWorld
    flavours: FlavourTable

    def file(self, path: Path) -> FilingOutcome:
        """File one message, as the first of its kind."""
        with self.world.filer.domain.database.write() as connection:
            for table in (report, message, message_number):
                connection.execute(delete(table))
        read_message = Message.read(path.read_bytes())
        envelope = envelope_of(read_message)
        incoming = IncomingMessage(
            door="command",
            caller=Caller(node=Node()),
            media="hl7v2",
            digest=read_message.digest,
            size=read_message.size,
            raw=read_message.blocks,
            envelope=envelope,
            flavour=self.flavours.flavour_of(envelope),
            content=None,
        )
        filer = self.world.filer
        try:
            content = read(read_message, self.flavours)
        except ContentRefused as refusal:
            return filer.refuse(incoming, refusal.findings)
        return filer.file(replace(incoming, content=content))


@pytest.fixture(scope="module")
def reference(
    databases: Databases, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Reference]:
    folder = tmp_path_factory.mktemp("samples")
    flavours = read_flavours(write_flavours(tmp_path_factory.mktemp("flavours")))
    with filing_world(databases, folder) as world:
        yield Reference(world, flavours)


@pytest.mark.parametrize("sample", samples("oru", "mdm", "order"), ids=lambda one: one.name)
def test_sample_ends_as_expected(sample: Sample, reference: Reference) -> None:
    outcome = reference.file(sample.path)
    assert outcome.record_id
    assert outcome.is_accepted == (sample.row["outcome"] == "accept"), outcome.findings
    assert len(outcome.documents) == int(sample.row["documents"])
    entries = [reference.world.entry(one.unique_id) for one in outcome.documents]
    if sample.row["patient_id"]:
        assert {one.patient_id for one in entries} <= {sample.row["patient_id"]}
    if sample.row["typeCode"]:
        codes = {one.type_code.code for one in entries if one.type_code}
        assert codes == {sample.row["typeCode"]}
    expected = zip(sample.values("sha1"), sample.values("size"), strict=True)
    for (sha1, size), entry in zip(expected, entries, strict=True):
        if len(sha1) == 40:
            assert (entry.hash, entry.size) == (sha1, size)
            assert _stored(reference.world, entry) == (sha1, int(size))
        else:
            assert entry.mime_type == "application/pdf"


def _stored(world: FilingWorld, entry: DocumentEntry) -> tuple[str, int]:
    repository = world.filer.domain.repository
    found = repository.locate(entry.unique_id or "")
    assert found is not None
    content = repository.store.whole(found.key, found.size)
    return hashlib.sha1(content).hexdigest(), len(content)
