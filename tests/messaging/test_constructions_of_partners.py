"""Constructions 14 to 16 of the facts of messages (11.4): what others do, or what is away.

Numbers 1 to 13, and where else each is shown: test_constructions.py.
"""

import json
import secrets
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any, Final

import pytest
from click.testing import CliRunner

from tests.fhir.asked import FHIR_JSON, ask
from tests.hl7v2.wire import END, START, connected
from tests.messaging.feeds import segment
from tests.messaging.receiver import acknowledgement, receiving
from tests.messaging.senders import NHS, mdm, nhs_number, pdf, report_number
from tests.ports import free_port
from tests.postgresql import NoPostgreSQL, OwnPostgreSQL, own_postgresql
from tests.serving import Server, serving
from xds.__main__ import main
from xds.client import DocumentConsumer
from xds.database.access import Database
from xds.messaging.outbound.destination import Destination
from xds.messaging.outbound.exchanging import DestinationWire, MessageOnTheWire
from xds.metadata.objects import DocumentEntry
from xds.outgoing.delivery import NotDelivered
from xds.registry import schema

GOOD: Final = Path(__file__).parents[2] / "fixtures/fhir-messages/r01.json"
HL7: Final = 'reading = "hl7"\n[[match]]\napplication = "STRICT"\n'


def bundle_of(patient: str) -> dict[str, Any]:
    """Return a FHIR message about a patient, with a number and an id of its own."""
    number = f"G26-{secrets.token_hex(6)}"
    text = GOOD.read_text().replace("G26-1", number).replace("9434765919", patient)
    bundle: dict[str, Any] = json.loads(text)
    bundle["id"] = secrets.token_hex(8)
    bundle["identifier"]["value"] = f"M-{number}"
    return bundle


def process(server: Server, bundle: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """Have a FHIR message processed; return the status, and the MessageHeader of the response."""
    headers = {"Content-Type": FHIR_JSON}
    answer = ask(server, "POST", "/$process-message", headers, json.dumps(bundle).encode())
    return answer.status, answer.json()["entry"][0]["resource"]


def sent(server: Server, *messages: bytes) -> list[str]:
    """Send messages by MLLP; return MSA-1, and ERR-3 and ERR-5 of each answer."""
    found = []
    with connected(int(server.options["mllp_port"])) as sender:
        for one in messages:
            sender.post(one)
            rows = [line.split("|") for line in sender.read().decode().split("\r")]
            parts = [row[1] for row in rows if row[0] == "MSA"]
            parts += [f"{row[3][:3]} {row[5]}" for row in rows if row[0] == "ERR"]
            found.append(" ".join(parts))
    return found


def filed(server: Server, patient: str) -> list[DocumentEntry]:
    """Return what stands of a patient."""
    with DocumentConsumer(server.registry_url) as consumer:
        return list(consumer.find_documents(f"{patient}^^^&{NHS}&ISO").document_entries)


# --- 14


def test_14_a_fhir_message_that_comes_again_changes_nothing(server: Server) -> None:
    """Ids of MessageHeader and Bundle: seen, seen; seen, new; new, seen.

    A Bundle is not refused for an id that was used before: its content is judged.
    """
    patient = nhs_number()
    bundle = bundle_of(patient)
    status, first = process(server, bundle)
    assert (status, first["response"]["code"]) == (200, "ok")
    assert process(server, bundle)[1]["response"] == first["response"]
    resubmitted, reused = deepcopy(bundle), deepcopy(bundle)
    resubmitted["id"] = secrets.token_hex(8)
    reused["entry"][0]["resource"]["id"] = "4d534700-0000-4000-8000-00000000000f"
    for again in (resubmitted, reused):
        status, said = process(server, again)
        assert (status, said["response"]["code"]) == (200, "ok")
        assert said["response"]["identifier"] == again["entry"][0]["resource"]["id"]
    assert len(filed(server, patient)) == 1


# --- 15


@contextmanager
def served_on(folder: Path) -> Iterator[tuple[Server, OwnPostgreSQL]]:
    """Serve on a database that can be stopped."""
    (folder / "flavours").mkdir()
    (folder / "flavours" / "strict.toml").write_text(HL7)
    with own_postgresql() as postgresql:
        url = postgresql.create("xds")
        with closing(Database(url)) as database:
            schema.migrate(database)
        options = {
            "database": url,
            "mllp_port": str(free_port()),
            "flavours": str(folder / "flavours"),
            "workers": "1",
        }
        with serving(folder / "data", options) as server:
            yield server, postgresql


@pytest.mark.slow
def test_15_what_comes_while_the_database_is_away_is_taken_when_it_is_back(tmp_path: Path) -> None:
    patient = nhs_number()
    plain = mdm("T02", patient, report_number(), content=pdf("plain"))
    strict = mdm("T02", patient, report_number(), content=pdf("strict"), sender="STRICT|T25")
    bundle = bundle_of(patient)
    try:
        with served_on(tmp_path) as (server, postgresql):
            postgresql.stop("immediate")
            assert sent(server, plain, strict) == ["AE 207 internal", "AR 207 internal"]
            status, said = process(server, bundle)
            assert (status, said["response"]["code"]) == (503, "transient-error")
            postgresql.start()
            assert filed(server, patient) == []
            assert sent(server, plain, strict) == ["AA", "AA"]
            assert process(server, bundle)[1]["response"]["code"] == "ok"
            assert len(filed(server, patient)) == 3
    except NoPostgreSQL as reason:
        pytest.skip(str(reason))


# --- 16

MESSAGE: Final = MessageOnTheWire(
    id="M1", lane="record/0", blocks=[b"MSH|^~\\&|XDS|A|R|B|2026||MDM^T02|M1|P|2.4\r", b"PID|1\r"]
)


@contextmanager
def answering(answer: Callable[[bytes], bytes]) -> Iterator[str]:
    """Answer each message with bytes as they are, and close the connection; yield the address."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            data = b""
            while not data.endswith(END):
                data += self.rfile.read1()
            self.wfile.write(answer(data[1:-2]))

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"mllp://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def _of_another(message: bytes) -> bytes:
    return START + acknowledgement(message.replace(b"|M1|", b"|M2|"), "AA") + END


def _half(message: bytes) -> bytes:
    return START + acknowledgement(message, "AA")[:-4]


def _nothing(message: bytes) -> bytes:
    return b""


@pytest.mark.parametrize("answer", [_of_another, _half, _nothing])
def test_16_what_is_no_whole_answer_to_a_message_is_none(
    answer: Callable[[bytes], bytes],
) -> None:
    with answering(answer) as url, closing(DestinationWire(None)) as wire:
        destination = Destination(name="record", address=url)
        with pytest.raises(NotDelivered, match="closed before the answer"):
            wire.exchange(destination, MESSAGE)


def test_16_order_outlives_a_restart_and_a_dry_run_chooses_what_is_sent(tmp_path: Path) -> None:
    patients = [nhs_number(), nhs_number()]
    numbers = {one: [report_number() for _ in range(3)] for one in patients}
    data, file = tmp_path / "data", tmp_path / "destinations.toml"
    options = {"mllp_port": str(free_port()), "destinations": str(file), "workers": "1"}
    with receiving() as record:
        file.write_text(f'[[destination]]\nname = "record"\naddress = "{record.url}"\n')
        with serving(data, options) as server:
            assert "paused" in _operated(server, "pause", "record")
            for place in range(2):
                for one in patients:
                    message = mdm("T02", one, numbers[one][place], content=pdf(str(place)))
                    assert sent(server, message) == ["AA"]
        with serving(data, options) as server:
            for one in patients:
                message = mdm("T02", one, numbers[one][2], content=pdf("2"))
                assert sent(server, message) == ["AA"]
            assert not record.came
            tried = _operated(server, "try", "record", "--since", "2026-01-01")
            assert tried == "record: 6 chosen by every document.\n"
            _operated(server, "resume", "record")
            came = record.wait_for(6)
    of = {one: [row for row in came if segment(row, "PID")[3].startswith(one)] for one in patients}
    told = {one: [segment(row, "TXA")[12].partition("^")[0] for row in of[one]] for one in patients}
    assert told == numbers


def _operated(server: Server, *arguments: str) -> str:
    given = ["--database", server.database, "--destinations", server.options["destinations"]]
    result = CliRunner().invoke(main, ["destinations", *given, *arguments])
    assert result.exit_code == 0, result.output
    return result.output
