"""What destinations are told of documents that came by messages, and of what becomes of them."""

import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
from sqlalchemy import select

from tests.databases import Databases
from tests.fhir.asked import FHIR_JSON, ask
from tests.hl7v2.wire import adt, connected, merge
from tests.messaging.feeds import Feeds, segment
from tests.messaging.receiver import MllpReceiver, receiving
from tests.messaging.senders import NHS, mdm, nhs_number, oru, pdf, report_number
from tests.ports import free_port
from tests.serving import configured, serving
from tests.waiting import until
from xds.client import DocumentAdministrator, DocumentConsumer
from xds.client.administrator import next_version, removal_of, status_change_of, update_of
from xds.database.access import Database
from xds.messaging.outbound import operations
from xds.messaging.outbound.destination import Destination
from xds.messaging.outbound.destinations_file import read
from xds.messaging.outbound.tables import outbound_message
from xds.metadata import vocabulary as v
from xds.metadata.objects import DocumentEntry

Message = list[list[str]]
FHIR: Final = Path(__file__).parents[2] / "fixtures/fhir-messages/r01.json"

DESTINATIONS: Final = """
[[destination]]
name = "record"
address = "{record}"
changes = ["registered", "replaced", "appended", "updated", "withdrawn"]
merges = "documents"
lanes = 64
answer_seconds = 2.5

[[destination.rule]]
name = "whatever is not very restricted"
not = {{ confidentiality_code = ["V^^2.16.840.1.113883.5.25"] }}

[[destination]]
name = "lab"
address = "{lab}"
receiving_application = "lab"
receiving_facility = "T25"
changes = ["registered", "replaced", "appended", "updated", "withdrawn"]
form = {{ updated = "T03" }}

[[destination]]
name = "practice"
address = "{practice}"
merges = "A40"
rule = [{{ any = [{{ practice = ["P84001"] }}, {{ postcode_area = ["BL"] }}] }}]
"""


@dataclass(frozen=True, slots=True)
class Wards(Feeds):
    """A server that takes messages, and sends them to three receivers."""

    record: MllpReceiver
    lab: MllpReceiver
    practice: MllpReceiver

    def take(self, *messages: bytes) -> None:
        """Send messages to the server; each is accepted."""
        with connected(int(self.server.options["mllp_port"])) as sender:
            for one in messages:
                sender.post(one)
                answer = sender.read().decode()
                assert "MSA|AA|" in answer, answer

    def decided(self, message: Message) -> dict[str, str]:
        """What was decided of the event that a message tells of, by destination."""
        ours = outbound_message.alias()
        query = (
            select(outbound_message.c.destination, outbound_message.c.state)
            .join(ours, ours.c.event == outbound_message.c.event)
            .where(ours.c.id == segment(message, "MSH")[10])
        )
        database = Database(configured(self.server.data).database_url)
        try:
            with database.read() as connection:
                return {row.destination: row.state for row in connection.execute(query)}
        finally:
            database.close()

    def entry(self, patient: str) -> DocumentEntry:
        """The only document of a patient."""
        with DocumentConsumer(self.server.registry_url) as consumer:
            found = consumer.find_documents(
                f"{patient}^^^&{NHS}&ISO", status=(v.APPROVED, v.DEPRECATED)
            )
            (entry,) = found.document_entries
            return entry

    def destination(self, name: str) -> Destination:
        """A destination of the file."""
        found = read(Path(self.server.options["destinations"]))
        return next(one for one in found if one.name == name)


@pytest.fixture(scope="module")
def wards(tmp_path_factory: pytest.TempPathFactory, databases: Databases) -> Iterator[Wards]:
    data = tmp_path_factory.mktemp("wards")
    with receiving() as record, receiving() as lab, receiving() as practice:
        path = data / "destinations.toml"
        path.write_text(DESTINATIONS.format(record=record.url, lab=lab.url, practice=practice.url))
        options = {
            "database": databases.url(data),
            "destinations": str(path),
            "mllp_port": str(free_port()),
            "assigning_authority": NHS,
            "metadata_update": "yes",
            "remove_metadata": "yes",
            "workers": "1",
        }
        with serving(data, options) as server:
            yield Wards(server, record, lab, practice)


def triggers(messages: list[Message]) -> list[str]:
    return [segment(one, "MSH")[9].split("^")[1] for one in messages]


# --- echo ----------------------------------------------------------------------------------------


def test_nothing_that_a_message_does_goes_back_to_its_sender(wards: Wards) -> None:
    patient, first, second = nhs_number(), report_number(), report_number()
    messages = (
        mdm("T02", patient, first),
        mdm("T06", patient, f"{first}-A", parent=first, content=pdf("addendum")),
        mdm("T08", patient, first, content=pdf("edited")),
        mdm("T10", patient, second, parent=first, content=pdf("replaced")),
        mdm("T11", patient, second),
    )
    # what replaces a document withdraws its addendum
    for number, message in zip((1, 2, 4, 5, 6), messages, strict=True):
        wards.take(message)
        told = wards.record.wait_for(number, patient)
    assert triggers(told) == ["T02", "T06", "T08", "T11", "T10", "T11"]
    for one in told:
        assert wards.decided(one)["lab"] == "own"
    assert not [one for one in wards.lab.came if patient.encode() in one]


def test_a_message_that_files_and_cancels_does_not_go_back_either(wards: Wards) -> None:
    patient, old, new = nhs_number(), report_number(), report_number()
    wards.take(oru(patient, (old, "F")))
    wards.record.wait_for(1, patient)
    wards.take(oru(patient, (new, "F"), (old, "X")))
    told = wards.record.wait_for(3, patient)
    assert sorted(triggers(told)) == ["T02", "T02", "T11"]
    assert {wards.decided(one)["lab"] for one in told} == {"own"}


def test_a_batch_does_not_go_back_either(wards: Wards) -> None:
    patient, number = nhs_number(), report_number()
    batch = b"BHS|^~\\&|LAB|T25\r" + mdm("T02", patient, number) + mdm("T11", patient, number)
    with connected(int(wards.server.options["mllp_port"])) as sender:
        sender.post(batch + b"BTS|2\r")
        assert sender.read().count(b"MSA|AA|") == 2
    wards.take(mdm("T02", patient, report_number(), content=pdf("other"), sender="SHIRE|CPP"))
    (other,) = wards.lab.wait_for(1, patient)
    assert triggers([other]) == ["T02"]
    assert wards.decided(other)["lab"] in ("waiting", "delivered")
    for one in wards.record.wait_for(1, patient):
        is_own = wards.decided(one)["lab"] == "own"
        assert is_own == (number in str(one))


def test_a_fhir_message_does_not_go_back_as_hl7_v2(wards: Wards) -> None:
    patient, number = nhs_number(), report_number()
    content = fhir_message(patient, number).encode()
    answer = ask(wards.server, "POST", "/$process-message", {"Content-Type": FHIR_JSON}, content)
    assert answer.json()["entry"][0]["resource"]["response"]["code"] == "ok", answer.body
    (told,) = wards.record.wait_for(1, patient)
    assert wards.decided(told)["lab"] == "own"


def test_what_others_do_with_a_document_its_sender_is_told(wards: Wards) -> None:
    patient, number, later = nhs_number(), report_number(), report_number()
    wards.take(mdm("T02", patient, number))
    wards.record.wait_for(1, patient)
    wards.take(
        mdm("T10", patient, later, parent=number, content=pdf("by others"), sender="SHIRE|CPP")
    )
    (told,) = wards.lab.wait_for(1, patient)
    assert triggers([told]) == ["T10"]
    assert segment(told, "TXA")[13].startswith(f"{number}^")


def test_a_replay_does_not_go_back_either(wards: Wards) -> None:
    patient, number = nhs_number(), report_number()
    wards.take(mdm("T02", patient, number))
    wards.record.wait_for(1, patient)
    database = Database(configured(wards.server.data).database_url)
    operations.replay(database, wards.destination("lab"), "2026")
    operations.replay(database, wards.destination("record"), "2026")
    database.close()
    wards.record.wait_for(2, patient)
    assert not [one for one in wards.lab.came if patient.encode() in one]


# --- rules ---------------------------------------------------------------------------------------


def test_the_practice_is_that_of_the_message(wards: Wards) -> None:
    near, far = nhs_number(), nhs_number()
    wards.take(
        mdm("T02", far, report_number(), practice="P84002", content=pdf("far")),
        mdm("T02", near, report_number(), practice="P84001", content=pdf("near")),
    )
    wards.practice.wait_for(1, near)
    (told,) = wards.record.wait_for(1, far)
    assert wards.decided(told)["practice"] == "not chosen"


@pytest.mark.parametrize(
    ("practice", "postcode", "chosen"),
    [("P84001", "LS1 1AA", True), ("P84002", "BL1 1AA", False), ("P84002", "LS1 1AA", False)],
)
def test_the_practice_is_that_of_the_patient_feed(
    wards: Wards, practice: str, postcode: str, chosen: bool
) -> None:
    patient = nhs_number()
    who = f"PID|1||{patient}^^^&{NHS}&ISO||Doe^Ann||19800229|F|||1 High St^^Town^^{postcode}"
    wards.take(adt("A28", who, f"PD1|||Surgery^^{practice}"))
    wards.take(mdm("T02", patient, report_number()))
    (told,) = wards.record.wait_for(1, patient)
    # the postcode of the message counts before that of the feed
    assert (wards.decided(told)["practice"] != "not chosen") is chosen


def test_the_postcode_is_that_of_the_patient_feed_where_the_document_has_none(
    wards: Wards,
) -> None:
    patient = nhs_number()
    who = f"PID|1||{patient}^^^&{NHS}&ISO||Doe^Ann||19800229|F|||1 High St^^Town^^BL2 2BB"
    wards.take(adt("A28", who), oru(patient, (report_number(), "F")))
    wards.practice.wait_for(1, patient)


def test_who_has_a_document_is_told_of_its_end_whatever_the_rules_say_now(wards: Wards) -> None:
    patient = nhs_number()
    wards.take(mdm("T02", patient, report_number(), practice="P84001"))
    wards.practice.wait_for(1, patient)
    wards.record.wait_for(1, patient)
    with (
        DocumentConsumer(wards.server.registry_url) as consumer,
        DocumentAdministrator(wards.server.registry_url) as administrator,
    ):
        gone = removal_of(consumer, [wards.entry(patient).unique_id or ""])
        administrator.remove_metadata(gone.entry_uuids)
    assert triggers(wards.practice.wait_for(2, patient)) == ["T02", "T11"]
    assert triggers(wards.record.wait_for(2, patient)) == ["T02", "T11"]


def test_who_has_a_document_is_told_of_its_end_though_what_replaces_it_is_not_chosen(
    wards: Wards,
) -> None:
    patient, number = nhs_number(), report_number()
    wards.take(mdm("T02", patient, number, practice="P84001"))
    wards.practice.wait_for(1, patient)
    wards.take(
        mdm("T10", patient, report_number(), parent=number, content=pdf("x"), practice="P84002")
    )
    told = wards.practice.wait_for(2, patient)
    assert triggers(told) == ["T02", "T11"]
    assert segment(told[1], "TXA")[12].startswith(f"{number}^")


def test_versions_that_were_not_sent_are_passed_over(wards: Wards) -> None:
    patient, first, second, third = nhs_number(), *(report_number() for _ in range(3))
    wards.take(mdm("T02", patient, first))
    wards.record.wait_for(1, patient)
    database = Database(configured(wards.server.data).database_url)
    try:
        operations.pause(database, "record")
        for number, parent in ((second, first), (third, second)):
            wards.take(mdm("T10", patient, number, parent=parent, content=pdf(number)))
        _wait_for_held(database, 2)
    finally:
        operations.resume(database, wards.destination("record"))
    told = wards.record.wait_for(2, patient)
    assert triggers(told) == ["T02", "T10"]
    assert segment(told[1], "TXA")[12].startswith(f"{third}^")
    assert segment(told[1], "TXA")[13].startswith(f"{first}^")
    try:
        operations.pause(database, "record")
        fourth = report_number()
        wards.take(mdm("T10", patient, fourth, parent=third, content=pdf("wrong")))
        wards.take(mdm("T11", patient, fourth))
        _wait_for_held(database, 2)
    finally:
        operations.resume(database, wards.destination("record"))
        database.close()
    told = wards.record.wait_for(3, patient)
    assert triggers(told) == ["T02", "T10", "T11"]
    assert segment(told[2], "TXA")[12].startswith(f"{third}^")


# --- events of documents -------------------------------------------------------------------------


def test_changed_metadata_are_told_where_that_is_wanted(wards: Wards) -> None:
    patient = nhs_number()
    wards.take(mdm("T02", patient, report_number()))
    wards.record.wait_for(1, patient)
    with DocumentAdministrator(wards.server.registry_url) as administrator:
        entry = wards.entry(patient)
        administrator.update(update_of(entry, next_version(entry, title="Another title")))
    told = wards.record.wait_for(2, patient)
    assert triggers(told) == ["T02", "T04"]
    assert segment(told[1], "TXA")[25] == "Another title"
    assert [one[0] for one in told[1]] == ["MSH", "EVN", "PID", "PV1", "TXA", "OBX"]
    told = wards.lab.wait_for(1, patient)  # others have changed it
    assert triggers(told) == ["T03"]
    assert segment(told[0], "MSH")[9] == "MDM^T03^MDM_T01"
    assert segment(told[0], "TXA")[25] == "Another title"
    assert [one[0] for one in told[0]] == ["MSH", "EVN", "PID", "PV1", "TXA"]  # no content


def test_what_was_withdrawn_and_is_there_again_is_told(wards: Wards) -> None:
    patient = nhs_number()
    wards.take(mdm("T02", patient, report_number()))
    wards.record.wait_for(1, patient)
    for number, status in enumerate((v.DEPRECATED, v.APPROVED), 2):
        with DocumentAdministrator(wards.server.registry_url) as administrator:
            administrator.update(status_change_of(wards.entry(patient), status))
        told = wards.record.wait_for(number, patient)
    assert triggers(told) == ["T02", "T11", "T02"]


def test_a_document_of_a_merged_patient_goes_out_under_the_surviving_id(wards: Wards) -> None:
    old, new = nhs_number(), nhs_number()
    database = Database(configured(wards.server.data).database_url)
    try:
        operations.pause(database, "record")
        wards.take(*(adt("A28", f"PID|1||{one}^^^&{NHS}&ISO||Doe^Ann") for one in (old, new)))
        wards.take(mdm("T02", old, report_number()))
        _wait_for_held(database, 1)
        wards.take(merge(f"{old}^^^&{NHS}&ISO", f"{new}^^^&{NHS}&ISO"))
    finally:
        operations.resume(database, wards.destination("record"))
        database.close()
    told, *_ = wards.record.wait_for(1, new)
    assert segment(told, "PID")[3].startswith(f"{new}^^^NHS^NH")


def test_a_merge_is_told_as_a_destination_wants_it(wards: Wards) -> None:
    first, second, third = (nhs_number() for _ in range(3))
    ids = [f"{one}^^^&{NHS}&ISO" for one in (first, second, third)]
    wards.take(*(adt("A28", f"PID|1||{one}||Doe^Ann") for one in ids))
    number, other = report_number(), report_number()
    wards.take(mdm("T02", first, number, practice="P84001"), mdm("T02", second, other))
    wards.record.wait_for(1, first)
    wards.record.wait_for(1, second)
    wards.practice.wait_for(1, first)
    wards.take(merge(ids[0], ids[1]))
    # the documents of the subsumed patient, and no other
    moved, _ = wards.record.wait_for(2, f"{second}^^^NHS")[::-1]
    assert segment(moved, "MSH")[9] == "MDM^T08^MDM_T02"
    assert segment(moved, "TXA")[12].startswith(f"{number}^")
    assert segment(moved, "OBX")[2] == "ED"
    (told,) = wards.practice.wait_for(1, "ADT^A40")
    assert [one[0] for one in told] == ["MSH", "EVN", "PID", "MRG"]
    assert segment(told, "PID")[3] == f"{second}^^^NHS^NH"
    assert segment(told, "PID")[5].startswith("Doe^Ann")
    assert segment(told, "MRG")[1] == f"{first}^^^NHS^NH"
    decided = wards.decided(told)
    assert set(decided) == {"record", "practice", "lab"}
    assert decided["lab"] == "not chosen"
    # both again, of whom one has come by a merge
    wards.take(merge(ids[1], ids[2]))
    told_again = wards.record.wait_for(2, f"{third}^^^NHS")
    assert {segment(one, "TXA")[12].partition("^")[0] for one in told_again} == {number, other}
    chained = wards.practice.wait_for(2, "ADT^A40")[1]
    assert segment(chained, "MRG")[1] == f"{second}^^^NHS^NH"


def _wait_for_held(database: Database, number: int) -> None:
    query = select(outbound_message.c.id).where(outbound_message.c.state == "held")

    def held() -> int:
        with database.read() as connection:
            return len(connection.execute(query).all())

    until(held, lambda found: found >= number)


@pytest.mark.slow
def test_a_patients_messages_keep_their_order_and_others_do_not_wait(wards: Wards) -> None:
    patient, number, other = nhs_number(), report_number(), nhs_number()
    wards.record.answers[:] = [None] * 100  # silence: what was sent is sent again and again
    wards.take(mdm("T02", patient, number))
    wards.record.wait_for(1, patient)
    wards.take(
        mdm("T06", patient, f"{number}-A", parent=number, content=pdf("addendum")),
        mdm("T02", other, report_number(), content=pdf("other")),
    )
    wards.record.wait_for(1, other)
    assert {*triggers(wards.record.wait_for(1, patient))} == {"T02"}
    wards.record.answers.clear()
    told = wards.record.wait_for(1, f"{number}-A")
    assert triggers(told) == ["T06"]
    told = wards.record.wait_for(3, patient)
    assert triggers(told) == ["T02"] * (len(told) - 1) + ["T06"]
    assert len({segment(one, "MSH")[10] for one in told[:-1]}) == 1


def fhir_message(patient: str, number: str) -> str:
    """A message of the laboratory by FHIR."""
    bundle = json.loads(FHIR.read_text())
    bundle["identifier"]["value"] = secrets.token_hex(8)
    bundle["entry"][0]["resource"]["sender"]["identifier"]["value"] = "T25"
    return json.dumps(bundle).replace("G26-1", number).replace("9434765919", patient)
