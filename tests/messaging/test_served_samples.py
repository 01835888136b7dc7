"""Messages that real senders send, to a server of the reference configuration.

HL7 v2 comes by MLLP, FHIR by `$process-message`. What each became is asked for by ITI-18 and
fetched by ITI-43. Each comes to a server that has filed nothing under its number.
"""

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from sqlalchemy import delete, select

from tests.databases import Databases
from tests.fhir.asked import FHIR_JSON, ask
from tests.hl7v2.wire import adt, connected, pid
from tests.messaging.reference import SAMPLES, Sample, samples, write_flavours, write_systems
from tests.ports import free_port
from tests.reference import needs
from tests.serving import Server, serving
from xds.client import DocumentConsumer
from xds.database.access import Database
from xds.messaging import operations
from xds.messaging.operations import MessageSelection
from xds.messaging.tables import message, message_number, report
from xds.registry.tables import patient

pytestmark = needs(SAMPLES)

_PROBE: Final = b"MSH|^~\\&|PROBE|T25|XDS|SCR|2026||ADT^A04|PROBE|P|2.3.1\r"
"""What is always answered, with an error: it has no PID."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, databases: Databases) -> Iterator[Server]:
    flavours = write_flavours(tmp_path_factory.mktemp("flavours"))
    systems = write_systems(tmp_path_factory.mktemp("systems"))
    data = tmp_path_factory.mktemp("samples")
    options = {
        "database": databases.url(data),
        "mllp_port": str(free_port()),
        "flavours": str(flavours),
        "identifier_systems": str(systems),
    }
    with serving(data, options) as found:
        yield found


def _forget(server: Server) -> None:
    """Have the next message be the first of its kind."""
    database = Database(server.database)
    try:
        with database.write() as connection:
            for table in (report, message, message_number):
                connection.execute(delete(table))
    finally:
        database.close()


def _answers(server: Server, path: Path) -> list[str]:
    """Send a message, and return MSA-1 of each answer that comes before that of a probe."""
    found = b""
    with connected(int(server.options["mllp_port"])) as sender:
        sender.post(path.read_bytes(), _PROBE)
        while b"MSA|AE|PROBE" not in found:
            frame = sender.read()
            assert frame, found
            found += frame
    return [one.decode() for one in re.findall(rb"MSA\|(\w\w)\|", found)][:-1]


def _expected(sample: Sample) -> list[str]:
    mode = sample.row["ack_mode"]
    if mode.startswith("enhanced"):
        codes = re.findall(r"(?:accept|application)=(\w+)", mode)
        return [one for one in codes if one != "none"]
    return [sample.row["ack_hl7" if sample.row["kind"] == "adt" else "ack_nhs"]]


@pytest.mark.parametrize("sample", samples("oru", "mdm", "order", "adt"), ids=lambda one: one.name)
def test_sample_is_answered_and_filed_as_expected(sample: Sample, server: Server) -> None:
    _forget(server)
    assert _answers(server, sample.path) == _expected(sample)
    if sample.row["kind"] != "adt":
        _require_filed(server, sample)


@pytest.mark.parametrize("sample", samples("fhir"), ids=lambda one: one.name)
def test_fhir_sample_is_answered_and_filed_as_expected(sample: Sample, server: Server) -> None:
    _forget(server)
    is_json = sample.path.suffix == ".json"
    headers = {"Content-Type": FHIR_JSON if is_json else "application/fhir+xml"}
    answer = ask(server, "POST", "/$process-message", headers, sample.path.read_bytes())
    said = answer.json()["entry"][0]["resource"]["response"]["code"]
    assert (answer.status, said) == (200, sample.row["ack_nhs"])
    _require_filed(server, sample)


def _require_filed(server: Server, sample: Sample) -> None:
    """Compare what a message has made with what is expected of it."""
    database = Database(server.database)
    try:
        with database.read() as connection:
            (record,) = operations.find(connection, MessageSelection())
    finally:
        database.close()
    assert record.outcome.is_accepted == (sample.row["outcome"] == "accept")
    made = [one.unique_id for one in record.outcome.documents]
    assert len(made) == int(sample.row["documents"])
    if not made:
        return
    with DocumentConsumer(server.registry_url, server.repository_url) as consumer:
        found = consumer.get_documents(unique_ids=made).document_entries
        entries = {one.unique_id: one for one in found}
        contents = {
            one.document_unique_id: b"".join(one.chunks()) for one in consumer.retrieve(found)
        }
    expected = zip(made, sample.values("sha1"), sample.values("size"), strict=True)
    for unique_id, sha1, size in expected:
        entry, content = entries[unique_id], contents[unique_id]
        digest = hashlib.sha1(content, usedforsecurity=False).hexdigest()
        assert (entry.hash, entry.size) == (digest, str(len(content)))
        if len(sha1) == 40:
            assert (digest, len(content)) == (sha1, int(size))
        else:
            assert (entry.mime_type, content[:5]) == ("application/pdf", b"%PDF-")
        assert entry.patient_id == sample.row["patient_id"]
        assert entry.type_code is not None
        assert entry.type_code.code == sample.row["typeCode"]
        numbers = {one.partition("^")[0] for one in sample.row["document_number"].split("|")}
        named = " ".join((*entry.reference_id_list, entry.unique_id or ""))
        assert any(number in named for number in numbers)


def test_a_sample_that_wants_no_answer_merges_patients_who_are_known(server: Server) -> None:
    """ITI-8 merges no others (ITI TF-2 3.8.4.2.3): the feed has told of both before."""
    (sample,) = (one for one in samples("adt") if one.row["event"] == "ADT^A40")
    surviving = sample.row["patient_id"]
    subsumed = surviving.replace(surviving.partition("^")[0], "56789")
    with connected(int(server.options["mllp_port"])) as sender:
        for one in (surviving, subsumed):
            assert sender.ask(adt("A04", pid(one))).code == "AA"
    assert _answers(server, sample.path) == []
    database = Database(server.database)
    try:
        with database.read() as connection:
            rows = connection.execute(select(patient.c.patient_id, patient.c.survivor))
            survivors = {one.patient_id: one.survivor for one in rows}
    finally:
        database.close()
    assert survivors[surviving] is None
    assert survivors[subsumed] is not None
