"""Documents within messages that say their versions, through the wire: MLLP and FHIR."""

import base64
import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha1
from itertools import permutations
from typing import Any, Final, TypeAlias

import pytest

from tests.content.test_stated_versions import related
from tests.content.test_versions_at_doors import CURRENT, ONE_CURRENT, REPLACED, Case, options
from tests.content.test_versions_at_doors import by_iti41 as iti41
from tests.content.test_versions_at_doors import by_iti65 as iti65
from tests.fhir.asked import FHIR_JSON, ask
from tests.fhir.genomics import NHS_NUMBERS
from tests.hl7v2.wire import Sender, connected
from tests.messaging.senders import mdm, nhs_number, report_number
from tests.messaging.test_constructions import told
from tests.messaging.test_fhir_messages import GOOD, header
from tests.ports import free_port
from tests.servers.shared import SharedServers
from tests.serving import Server
from xds.client import DocumentConsumer
from xds.metadata import vocabulary as v
from xds.metadata.objects import DocumentEntry

OLDER: Final = "W 205 OBX^1^5 older"
UNSAID: Final = "W 207 OBX^1^5 registry"
"""It does not say what it replaces."""
UNKNOWN: Final = "W 204 OBX^1^5 document-unknown"


class Reported(Case):
    """A patient with versions of a document, which are told by their bytes."""

    def __init__(self, server: Server, sender: Sender) -> None:
        super().__init__()
        self.server, self.sender = server, sender
        self.number = nhs_number()
        self.patient_id = f"{self.number}^^^&{NHS_NUMBERS}&ISO"
        self.report = report_number()
        self.names: dict[str, str] = {}

    def data(self, kind: str, version: int, *more: str) -> bytes:
        """Return a version of the document."""
        made: bytes = getattr(self, kind)(version, *more)
        self.names[sha1(made, usedforsecurity=False).hexdigest()] = str(version)
        return made

    def version(self, entry: DocumentEntry) -> str:
        return self.names[entry.hash or ""]

    def v2(self, trigger: str, data: bytes, number: str = "", sent: str = "", **more: Any) -> bytes:
        """Return an MDM, or an ORU (R01), that carries a document."""
        number = number or self.report
        message = mdm("T02" if trigger == "R01" else trigger, self.number, number, **more)
        text = base64.b64encode(data).decode()
        mime_type = "^text^xml^" if data.startswith(b"<") else "^^application/fhir+json^"
        head, *_ = message.split(b"OBX|")
        if trigger == "R01":
            lines = head.decode().replace("MDM^T02", "ORU^R01").split("\r")
            kept = [one for one in lines if one.startswith(("MSH", "PID", "PV1"))]
            obr = f"OBR|1||{number}^LAB|11502-2^Report^LN|||20260301{'|' * 18}F"
            head = "".join(f"{one}\r" for one in (*kept, obr)).encode()
        head = head.replace(b"20260301120000", (sent or "20260301120000").encode())
        return head + f"OBX|1|ED|11502-2^Report^LN||{mime_type}Base64^{text}||||||F\r".encode()

    def send(self, trigger: str, data: bytes, number: str = "", **more: Any) -> list[str]:
        """Send it, and return what is told."""
        self.sender.post(self.v2(trigger, data, number, **more))
        return told(self.sender.read())

    def process(self, data: bytes, number: str = "") -> tuple[str, Sequence[str]]:
        """Send it by $process-message, and return the response code and the codes of issues."""
        number = number or self.report
        text = json.dumps(GOOD).replace("G26-1", number).replace("9434765919", self.number)
        bundle: Any = json.loads(text)
        bundle["identifier"]["value"] = f"M-{report_number()}"
        mime_type = "text/xml" if data.startswith(b"<") else FHIR_JSON
        binary, reference = bundle["entry"][2]["resource"], bundle["entry"][3]["resource"]
        binary |= {"contentType": mime_type, "data": base64.b64encode(data).decode()}
        reference["content"][0]["attachment"]["contentType"] = mime_type
        body = json.dumps(bundle).encode()
        answer = ask(self.server, "POST", "/$process-message", {"Content-Type": FHIR_JSON}, body)
        response = answer.json()
        issues = [
            issue["code"]
            for one in response["entry"][1:]
            for issue in one["resource"].get("issue", ())
            if issue["severity"] != "information"
        ]
        return header(response)["response"]["code"], issues


Door: TypeAlias = Callable[[Reported, bytes, int], object]


def by_oru(case: Reported, data: bytes, version: int) -> object:
    return case.send("R01", data)


def by_oru_apart(case: Reported, data: bytes, version: int) -> object:
    """Send it as a report of its own, with another number."""
    return case.send("R01", data, f"{case.report}-{version}")


def by_mdm(case: Reported, data: bytes, version: int) -> object:
    return case.send("T02", data)


def by_fhir(case: Reported, data: bytes, version: int) -> object:
    return case.process(data)


def by_iti41(case: Reported, data: bytes, version: int) -> object:
    return iti41(case.server, data, case.patient_id, case.unique_id(version))


def by_iti65(case: Reported, data: bytes, version: int) -> object:
    return iti65(case.server, data, case.patient_id, case.unique_id(version))


@pytest.fixture
def server(module_servers: SharedServers) -> Server:
    return module_servers(
        "versions in messages", lambda data: options(data, mllp_port=str(free_port()))
    )


@pytest.fixture
def refusing(module_servers: SharedServers) -> Server:
    return module_servers(
        "versions in messages refused",
        lambda data: options(data, mllp_port=str(free_port()), lower_versions="refuse"),
    )


@pytest.fixture
def case(server: Server) -> Iterator[Reported]:
    with connected(int(server.options["mllp_port"])) as sender:
        yield Reported(server, sender)


@pytest.fixture
def refused(refusing: Server) -> Iterator[Reported]:
    with connected(int(refusing.options["mllp_port"])) as sender:
        yield Reported(refusing, sender)


PAIRS: Final = [
    (by_oru, by_oru),
    (by_oru_apart, by_oru_apart),
    (by_oru, by_mdm),
    (by_oru, by_fhir),
    (by_oru, by_iti65),
    (by_fhir, by_fhir),
    (by_mdm, by_iti41),
]


@pytest.mark.parametrize("order", list(permutations((1, 2))), ids=str)
@pytest.mark.parametrize("kind", ["cda", "bundle"])
@pytest.mark.parametrize("doors", PAIRS)
def test_one_version_is_current_whichever_comes_first(
    case: Reported, doors: tuple[Door, Door], kind: str, order: tuple[int, ...]
) -> None:
    for version in order:
        doors[version - 1](case, case.data(kind, version), version)
    assert case.statuses(case.server) == ONE_CURRENT
    assert case.relations(case.server) == {("2", "RPLC", "1")}


def test_a_late_version_is_told_in_the_terms_of_each_protocol(case: Reported) -> None:
    assert case.send("T02", case.data("cda", 3)) == ["AA"]
    assert case.send("R01", case.data("cda", 1)) == ["AA", OLDER]
    assert case.process(case.data("cda", 2)) == ("ok", ["conflict"])
    assert case.statuses(case.server) == {"1": REPLACED, "2": REPLACED, "3": CURRENT}


def test_what_is_sent_again_after_its_replacement_stays_replaced(case: Reported) -> None:
    first, second = case.data("cda", 1), case.data("cda", 2)
    message = case.v2("R01", first)
    case.sender.post(message)
    assert told(case.sender.read()) == ["AA"]
    assert case.send("R01", second) == ["AA"]
    case.sender.post(message)
    assert told(case.sender.read()) == ["AA"]
    assert case.send("R01", first, sent="20260302090000") == ["AA"]
    assert case.send("T02", first, sent="20260302090000") == ["AA"]
    assert len(case.statuses(case.server)) == len(found_entries(case)) == 2
    assert case.statuses(case.server) == ONE_CURRENT


def test_an_earlier_version_that_is_sent_later_does_not_replace_a_later_one(case: Reported) -> None:
    assert case.send("R01", case.data("cda", 2)) == ["AA"]
    assert case.send("R01", case.data("cda", 1), sent="20260302090000") == ["AA", OLDER]
    assert case.send("T11", b"", sent="20260303090000") == ["AA"]
    assert case.statuses(case.server) == {"1": REPLACED, "2": REPLACED}
    assert case.send("R01", case.data("cda", 1, "<!-- -->"), sent="20260304090000")[0] == "AA"
    assert set(case.statuses(case.server).values()) == {REPLACED}


def found_entries(case: Reported) -> Sequence[DocumentEntry]:
    with DocumentConsumer(case.server.registry_url) as consumer:
        both = (v.APPROVED, v.DEPRECATED)
        return consumer.find_documents(case.patient_id, status=both).document_entries


def test_four_senders_at_the_same_moment(case: Reported) -> None:
    by_oru_apart(case, case.data("cda", 1), 1)
    doors = {2: by_oru, 3: by_fhir, 4: by_iti65, 5: by_oru_apart}
    data = {version: case.data("cda", version) for version in doors}

    def send(version: int) -> None:
        with connected(int(case.server.options["mllp_port"])) as sender:
            one = Reported(case.server, sender)
            one.number, one.patient_id, one.report = case.number, case.patient_id, case.report
            one.arc = case.arc
            doors[version](one, data[version], version)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(send, doors))
    assert case.statuses(case.server) == dict.fromkeys("1234", REPLACED) | {"5": CURRENT}


@pytest.mark.parametrize("first", [by_oru_apart, by_iti65])
def test_the_set_decides_where_the_parent_is_named_wrongly(case: Reported, first: Door) -> None:
    first(case, case.data("cda", 1), 1)
    named = f'<id root="{case.arc}.77"/>', f'<setId root="{case.arc}"/>'
    second = case.data("cda", 2, related("RPLC", *named, '<versionNumber value="1"/>'))
    assert case.send("T02", second) == ["AA", UNKNOWN]
    assert case.statuses(case.server) == ONE_CURRENT
    assert case.relations(case.server) == {("2", "RPLC", "1")}


def without_set(case: Reported, version: int, parents: str = "") -> bytes:
    """Return a document that says nothing but its own id, and what it replaces."""
    made = case.cda(version, parents).decode()
    start, end = made.index("<setId"), made.index("<versionNumber")
    data = (made[:start] + made[made.index("/>", end) + 2 :]).encode()
    case.names[sha1(data, usedforsecurity=False).hexdigest()] = str(version)
    return data


@pytest.mark.parametrize("order", list(permutations((1, 2))), ids=str)
@pytest.mark.parametrize("door", [by_oru_apart, by_iti65])
def test_a_parent_is_found_by_what_it_calls_itself(
    case: Reported, door: Door, order: tuple[int, ...]
) -> None:
    documents = {
        1: (by_oru_apart, without_set(case, 1)),
        2: (door, without_set(case, 2, related("RPLC", case.id(1)))),
    }
    for version in order:
        send, data = documents[version]
        send(case, data, version)
    assert case.statuses(case.server) == ONE_CURRENT
    assert case.relations(case.server) == {("2", "RPLC", "1")}
    named = {case.version(one): one.reference_id_list for one in found_entries(case)}
    assert f"{case.unique_id(1)}^^^^urn:xds:document-id" in named["1"]


def test_what_a_message_does_holds_against_its_document(case: Reported) -> None:
    """A T06 leaves its parent, whatever its document says; a T10 replaces it."""
    assert case.send("T02", case.data("cda", 1)) == ["AA"]
    addendum = case.data("cda", 2, related("RPLC", case.id(1)))
    numbers = {"number": f"{case.report}-2", "parent": case.report}
    assert case.send("T06", addendum, **numbers) == ["AA"]
    assert case.statuses(case.server) == {"1": CURRENT, "2": CURRENT}
    assert case.relations(case.server) == {("2", "APND", "1")}
    replacing = case.data("cda", 3, related("APND", case.id(1)))
    numbers["number"] = f"{case.report}-3"
    assert case.send("T10", replacing, **numbers) == ["AA"]
    assert case.statuses(case.server) == {"1": REPLACED, "2": REPLACED, "3": CURRENT}
    assert ("3", "RPLC", "1") in case.relations(case.server)


def test_a_replacement_by_number_and_by_set_leaves_one_current(case: Reported) -> None:
    by_oru_apart(case, case.data("cda", 1), 1)
    by_iti65(case, case.data("cda", 2), 2)
    parent = f"{case.report}-1"
    assert case.send("T10", case.data("cda", 3), f"{case.report}-3", parent=parent)[0] == "AA"
    assert case.statuses(case.server) == {"1": REPLACED, "2": REPLACED, "3": CURRENT}


@pytest.mark.parametrize("version", [1, 2])
def test_a_version_that_is_not_later_is_refused_where_the_option_says_so(
    refused: Reported, version: int
) -> None:
    by_iti65(refused, refused.data("cda", 2), 2)
    late = refused.data("cda", version, "<!-- again -->")
    assert refused.send("R01", late) == ["AR", "E 205 OBX^1^5 older"]
    assert refused.process(late) == ("fatal-error", ["conflict"])
    assert refused.statuses(refused.server) == {"2": CURRENT}
    assert refused.send("R01", refused.data("cda", 3)) == ["AA", UNSAID]
    assert refused.send("R01", late, sent="20260302090000") == ["AR", "E 205 OBX^1^5 older"]
    assert refused.statuses(refused.server) == {"2": REPLACED, "3": CURRENT}
