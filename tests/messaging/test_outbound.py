"""Documents go out as messages, through the wire from their submission to a receiver."""

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tests.databases import Databases
from tests.messaging.feeds import CONTENT, GENETIC, SCT, Feeds, number_of, segment
from tests.messaging.receiver import MllpReceiver, receiving
from tests.registry import wire
from tests.serving import configured, serving
from xds.__main__ import main
from xds.client import (
    DocumentAdministrator,
    DocumentConsumer,
)
from xds.client.administrator import removal_of, status_change_of
from xds.messaging.outbound.records import OutboundMessage
from xds.metadata import vocabulary as v
from xds.metadata.objects import Code, DocumentEntry

FILE = "destinations.toml"

DESTINATIONS = """
[[destination]]
name = "record"
address = "{mdm}"
sending_application = "XDS"
sending_facility = "699X0"
receiving_application = "RECORD"
receiving_facility = "GM"
answer_seconds = 2.5
refusals = 2
form = {{ coding_systems = {{ "{sct}" = "SNM3" }} }}

[[destination.rule]]
name = "genetic reports"
type_code = ["{type_code}"]

[[destination]]
name = "results"
address = "{oru}"
changes = ["registered", "replaced", "withdrawn"]
form = {{ message = "ORU", version = "2.5.1" }}
rule = [{{ type_code = ["{type_code}"], postcode_area = ["M"] }}]
"""


@dataclass(frozen=True, slots=True)
class MessageFeeds(Feeds):
    """A server with two destinations."""

    mdm: MllpReceiver
    oru: MllpReceiver


@pytest.fixture(scope="module")
def feeds(tmp_path_factory: pytest.TempPathFactory, databases: Databases) -> Iterator[MessageFeeds]:
    """A server that sends MDM to one receiver and ORU to another."""
    data = tmp_path_factory.mktemp("feeds")
    with receiving() as mdm, receiving() as oru:
        code = str(GENETIC)
        text = DESTINATIONS.format(mdm=mdm.url, oru=oru.url, sct=SCT, type_code=code)
        path = data / FILE
        path.write_text(text)
        options = {
            "database": databases.url(data),
            "destinations": str(path),
            "metadata_update": "yes",
            "remove_metadata": "yes",
            "audit": "on",
            "workers": "1",
        }
        with serving(data, options) as server:
            yield MessageFeeds(server, mdm, oru)


def told(feeds: MessageFeeds) -> str:
    """What the metrics tell."""
    return wire.get(feeds.server, "/metrics").decode()


def test_a_document_goes_out_as_mdm_with_all_that_is_known(feeds: MessageFeeds) -> None:
    entry = feeds.provide()
    (message,) = feeds.mdm.wait_for(1, number_of(entry))
    header = segment(message, "MSH")
    assert header[3:7] == ["XDS", "699X0", "RECORD", "GM"]
    assert (header[9], header[11], header[12]) == ("MDM^T02^MDM_T02", "P", "2.4")
    assert len(header[10]) == 20
    identity = segment(message, "PID")
    number = (entry.patient_id or "").partition("^")[0]
    assert identity[3] == f"{number}^^^NHS^NH"
    assert identity[5:9] == ["Hale^Una", "", "19700101", "F"]
    notes = segment(message, "TXA")
    assert notes[2] == "1054161000000101^Genetic report^SNM3"
    assert notes[6] == "20260810101500+0000"
    assert notes[12] == f"{number_of(entry)}^^2.999.699^ISO"
    assert (notes[17], notes[18], notes[19]) == ("AU", "U", "AV")
    assert notes[25] == entry.title
    carried = segment(message, "OBX")
    assert (carried[2], carried[11]) == ("ED", "F")
    *form, content = carried[5].split("^")
    assert form == ["", "application", "pdf", "Base64"]
    assert base64.b64decode(content) == CONTENT
    (record,) = feeds.wait_for(entry, "delivered")
    assert (record.id, record.answer, record.rule) == (header[10], "AA", "genetic reports")
    assert len(feeds.audited(entry)) == 1


def test_an_oru_has_its_status_and_a_rule_may_ask_for_the_postcode(feeds: MessageFeeds) -> None:
    entry = feeds.provide()
    elsewhere = feeds.provide(postcode="LS1 1AA")
    (message,) = feeds.oru.wait_for(1, number_of(entry))
    assert segment(message, "MSH")[9] == "ORU^R01^ORU_R01"
    report = segment(message, "OBR")
    assert (report[3], report[25]) == (f"{number_of(entry)}^^2.999.699^ISO", "F")
    feeds.wait_for(elsewhere, "delivered")
    states = {one.destination: one.state for one in feeds.records(elsewhere)}
    assert states == {"record": "delivered", "results": "not chosen"}
    newer = feeds.provide(replaces=entry)
    (message,) = feeds.oru.wait_for(1, number_of(newer))
    assert segment(message, "OBR")[25] == "C"


def test_replacement_and_withdrawal_are_told_in_their_order(feeds: MessageFeeds) -> None:
    old = feeds.provide()
    feeds.wait_for(old, "delivered")
    new = feeds.provide(replaces=old)
    feeds.wait_for(new, "delivered")
    with DocumentAdministrator(feeds.server.registry_url) as administrator:
        administrator.update(status_change_of(new, v.DEPRECATED))
    feeds.wait_for(new, "delivered", "delivered")
    first, _ = feeds.mdm.wait_for(2, number_of(old))
    replacement, withdrawal = feeds.mdm.wait_for(2, number_of(new))
    assert segment(first, "MSH")[9] == "MDM^T02^MDM_T02"
    assert segment(replacement, "MSH")[9] == "MDM^T10^MDM_T02"
    assert segment(replacement, "TXA")[13] == f"{number_of(old)}^^2.999.699^ISO"
    assert segment(withdrawal, "MSH")[9] == "MDM^T11^MDM_T01"
    assert segment(withdrawal, "TXA")[19] == "CA"
    assert not [one for one in withdrawal if one[0] == "OBX"]


def test_what_is_withdrawn_before_it_was_sent_is_not_told(feeds: MessageFeeds) -> None:
    entry = feeds.provide(type_code=Code("1", SCT, "another"))
    with (
        DocumentConsumer(feeds.server.registry_url) as consumer,
        DocumentAdministrator(feeds.server.registry_url) as administrator,
    ):
        gone = removal_of(consumer, [entry.unique_id or ""])
        administrator.remove_metadata(gone.entry_uuids)
    states = [one.state for one in feeds.records(entry) if one.destination == "record"]
    assert "delivered" not in states


@pytest.mark.parametrize(
    ("answers", "state", "reason"),
    [
        (["AE 102"], "dead", "AE 102"),
        (["AE"], "dead", "AE"),
        (["CR"], "dead", "CR"),
    ],
)
def test_what_is_refused_for_good_is_given_up(
    feeds: MessageFeeds, answers: list[str | None], state: str, reason: str
) -> None:
    feeds.settle()
    feeds.mdm.answers[:] = answers
    entry = feeds.provide()
    (record,) = feeds.wait_for(entry, state)
    assert 'xds_destination_dead_messages{destination="record"} 0.0' not in told(feeds)
    assert 'xds_destination_dead_messages{destination="results"} 0.0' in told(feeds)
    assert (record.reason, len(feeds.mdm.wait_for(1, number_of(entry)))) == (reason, 1)
    # who has not seen what is replaced is told of a new document
    newer = feeds.provide(replaces=entry)
    feeds.wait_for(newer, "delivered")
    (message,) = feeds.mdm.wait_for(1, number_of(newer))
    assert segment(message, "MSH")[9] == "MDM^T02^MDM_T02"


@pytest.mark.slow
@pytest.mark.parametrize("answer", ["AR", "AE 207", "CE", None])
def test_what_may_succeed_later_is_tried_again_under_its_id(
    feeds: MessageFeeds, answer: str | None
) -> None:
    feeds.settle()
    feeds.mdm.answers[:] = [answer]
    entry = feeds.provide()
    first, second = feeds.mdm.wait_for(2, number_of(entry))
    assert segment(first, "MSH")[10] == segment(second, "MSH")[10]
    feeds.wait_for(entry, "delivered")


# --- an operator


def run(feeds: MessageFeeds, *arguments: str, fails: bool = False) -> str:
    url, path = configured(feeds.server.data).database_url, feeds.server.data / FILE
    options = ["--database", url, "--destinations", str(path), "--data", str(feeds.server.data)]
    result = CliRunner().invoke(main, ["destinations", *options, *arguments])
    assert (result.exit_code != 0) is fails, result.output
    return result.output


def test_an_operator_pauses_resumes_and_replays(feeds: MessageFeeds) -> None:
    assert run(feeds, "pause", "record").startswith("record: paused;")
    entry = feeds.provide()
    feeds.wait_for(entry, "held")
    (listed,) = [one for one in _lines(run(feeds, "list", "--json")) if one["name"] == "record"]
    assert (listed["state"], listed["waiting"] >= 1) == ("paused", True)
    assert "sent on" in run(feeds, "resume", "record")
    feeds.wait_for(entry, "delivered")
    moment = "2026-01-01T00:00Z"
    assert "chosen by genetic reports" in run(feeds, "try", "record", "--since", moment)
    run(feeds, "replay", "record", "--since", moment)
    first, again = feeds.mdm.wait_for(2, number_of(entry))
    assert segment(first, "MSH")[10] != segment(again, "MSH")[10]
    shown = _lines(run(feeds, "show", "record", "--document", entry.id, "--json"))
    assert [one["is_replay"] for one in shown] == [True, False]


def test_what_was_given_up_is_sent_again(feeds: MessageFeeds) -> None:
    feeds.settle()
    feeds.mdm.answers[:] = ["AE 102"]
    entry = feeds.provide()
    (dead,) = feeds.wait_for(entry, "dead")
    assert "1 message tried again" in run(feeds, "retry", "record", "--id", dead.id)
    (record,) = feeds.wait_for(entry, "delivered")
    assert record.id == dead.id


def given_up(feeds: MessageFeeds, said: str = "") -> tuple[DocumentEntry, OutboundMessage]:
    """Provide a document that its receiver refuses for good."""
    feeds.settle()
    feeds.mdm.answers[:] = [f"AE 102|E||||{said}"]
    entry = feeds.provide()
    (dead,) = feeds.wait_for(entry, "dead")
    return entry, dead


def test_a_message_that_was_given_up_is_corrected(feeds: MessageFeeds, tmp_path: Path) -> None:
    entry, dead = given_up(feeds, "numbers have a prefix here")
    shown = run(feeds, "show", "--id", dead.id)
    assert "numbers have a prefix here" in shown
    assert number_of(entry) in shown
    wrong = run(feeds, "show", "--id", dead.id, "--raw")
    path = tmp_path / "mended.hl7"
    path.write_text(wrong.replace(number_of(entry), f"X-{number_of(entry)}"), newline="")
    more = ["--id", dead.id, "--file", str(path), "--reason", "prefix"]
    assert "is sent in its place" in run(feeds, "correct", "record", *more)
    old, new = feeds.wait_for(entry, "discarded", "delivered")
    assert (old.id, new.corrects) == (dead.id, dead.id)
    assert old.reason.startswith(f"corrected as {new.id}: prefix (")
    (told,) = feeds.mdm.wait_for(1, f"X-{number_of(entry)}")
    assert segment(told, "MSH")[10] == new.id
    assert base64.b64decode(segment(told, "OBX")[5].split("^")[-1]) == CONTENT
    assert f"X-{number_of(entry)}" in run(feeds, "show", "--id", new.id, "--raw")
    assert len(feeds.audited(entry)) == 1
    path.write_text("PID|1\r")
    assert "a message begins with MSH" in run(feeds, "correct", "record", *more, fails=True)


def test_a_message_is_sent_anew_or_discarded(feeds: MessageFeeds) -> None:
    entry, dead = given_up(feeds)
    run(feeds, "resend", "record", "--id", dead.id)
    _, new = feeds.wait_for(entry, "discarded", "delivered")
    first, again = feeds.mdm.wait_for(2, number_of(entry))
    assert [segment(one, "MSH")[10] for one in (first, again)] == [dead.id, new.id]
    entry, dead = given_up(feeds)
    told = run(feeds, "discard", "record", "--id", dead.id, "--reason", "a test")
    assert told == "record: 1 message discarded.\n"
    (gone,) = feeds.wait_for(entry, "discarded")
    assert gone.reason.startswith("a test (")
    assert run(feeds, "retry", "record", "--id", dead.id) == "record: 0 messages tried again.\n"
    # who never had it is not told of its end
    with DocumentAdministrator(feeds.server.registry_url) as administrator:
        administrator.update(status_change_of(entry, v.DEPRECATED))
    feeds.wait_for(entry, "discarded", "superseded")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["resend", "record"], "resend takes --id"),
        (["resend", "record", "--id", "nothing"], "There is no message nothing"),
        (["correct", "record", "--id", "x", "--reason", "y"], "correct, and nothing else, takes"),
        (["discard", "record"], "discard takes --reason"),
        (["pause"], "pause takes a DESTINATION"),
        (["pause", "nobody"], "names no nobody; it names record, results"),
        (["replay", "record"], "take --since"),
        (["replay", "record", "--since", "yesterday"], "--since is a time such as"),
    ],
)
def test_what_an_operator_says_wrongly_is_told(
    feeds: MessageFeeds, arguments: list[str], told: str
) -> None:
    assert told in run(feeds, *arguments, fails=True)


def test_a_file_that_is_wrong_is_told_of(feeds: MessageFeeds, tmp_path: Path) -> None:
    path = tmp_path / FILE
    path.write_text("[[receiver]]")
    options = ["--data", str(tmp_path), "--destinations", str(path)]
    result = CliRunner().invoke(main, ["destinations", *options])
    assert result.exit_code != 0
    assert "unknown key receiver" in result.output


def test_without_the_option_it_is_told_what_to_give(feeds: MessageFeeds) -> None:
    feeds.wait_for(feeds.provide(), "delivered")
    options = ["--database", configured(feeds.server.data).database_url]
    result = CliRunner().invoke(main, ["destinations", *options])
    assert "the option destinations is not set here" in result.output
    assert "removed" in result.output  # what is on record of each
    result = CliRunner().invoke(main, ["destinations", "pause", "record", *options])
    assert result.output.startswith("Error: There are no destinations")


def _lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]
