"""Constructions that no message of a real sender covers, each through the wire of a served server.

They are numbered as in the facts of messages (11.4): 1 to 13 here (test_01 to test_13), 14 to 16 in
test_constructions_of_partners.py (test_14 to test_16). Beside these, each is shown by the tests
below, of which those in one process go into more orders and values:

1. versions of a number: test_filing.py::test_versions_in_any_order_end_alike,
   ::test_the_last_version_stands, ::test_two_at_once_make_one_chain
2. control ids: test_filing.py::test_a_control_id_of_other_content_is_another_message
3. pieces: test_reading.py::test_a_document_comes_out_as_it_was,
   ::test_pieces_that_are_padded_are_joined_where_the_flavour_says_so
4. batches: test_doors.py::test_a_batch_by_http_is_answered_in_a_batch
5. MDM: test_filing.py::test_the_life_of_a_document_by_mdm, ::test_an_addendum_before_its_parent
6. delimiters: test_reading.py::test_delimiters_and_escapes_are_those_of_the_message
7. escapes: test_doors.py::test_base64_may_be_broken_by_escapes_but_not_cut
8. charsets: ../hl7v2/test_message.py::test_the_charset_is_that_of_the_bytes
9. sizes: test_doors.py::test_a_large_document_is_stored_as_it_was_sent
10. patients: test_filing.py::test_two_national_numbers_of_a_domain_are_a_conflict
11. CDA: test_reading.py::test_cda_comes_as_text_and_in_a_mime_package
12. wrong patient: test_filing.py
   ::test_a_number_of_another_patient_is_refused_until_it_was_withdrawn
13. modes: ../hl7v2/test_acknowledgement.py::test_the_header_says_which_acknowledgements_are_due
14. FHIR: test_fhir_messages.py::test_an_asynchronous_message_is_answered_where_it_wants
15. database away: test_chaos.py::test_messages_are_filed_once_and_documents_go_out_in_order
16. outbound: test_outbound.py::test_what_is_refused_for_good_is_given_up,
   ::test_what_may_succeed_later_is_tried_again_under_its_id,
   test_exchanging.py::test_refusals_are_read_as_the_receiver_means_them,
   test_outbound_changes.py::test_a_patients_messages_keep_their_order_and_others_do_not_wait
"""

import base64
import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import count, product
from typing import Any, Final

import pytest
from click.testing import CliRunner
from sqlalchemy import update

from tests.databases import Databases
from tests.hl7v2.wire import START, Sender, adt, connected, cx, pid
from tests.messaging.feeds import segment
from tests.messaging.receiver import MllpReceiver, receiving
from tests.messaging.senders import NHS, mdm, nhs_number, pdf, report_number
from tests.ports import free_port
from tests.serving import Server, serving
from tests.waiting import PATIENCE
from xds.__main__ import main
from xds.client import DocumentConsumer
from xds.database.access import Database
from xds.messaging.tables import message
from xds.metadata import vocabulary as v
from xds.metadata.objects import DocumentEntry

LOCAL: Final = "2.999.6.1"
NUMBERS: Final = count(1)
JOINS: Final = 'chunks = "join"\n[[match]]\napplication = "JOINS"\n'
STRICT: Final = """
early_cancellation = "accept"
after_cancellation = "refuse"
[[match]]
application = "STRICT"
"""
DAY: Final = 86_400_000
_BOTH: Final = (v.APPROVED, v.DEPRECATED)


def ed(content: bytes, status: str = "F", form: str = "application^pdf") -> str:
    """Write an OBX that carries a document."""
    text = base64.b64encode(content).decode()
    return f"OBX|1|ED|11502-2^Report^LN|1|^{form}^Base64^{text}||||||{status}"


def sha1(content: bytes) -> str:
    """Return the hash of a document as its entry has it."""
    return hashlib.sha1(content, usedforsecurity=False).hexdigest()


def told(answer: bytes) -> list[str]:
    """Return MSA-1, and of each ERR its severity, code, place and word."""
    found = []
    for row in (line.split("|") for line in answer.decode("latin-1").split("\r")):
        if row[0] == "MSA":
            found.append(row[1])
        elif row[0] == "ERR":
            found.append(f"{row[4]} {row[3].partition('^')[0]} {row[2]} {row[5]}")
    return found


@dataclass
class Ward:
    """A patient of whom messages are sent on one connection, and what is filed of them."""

    server: Server
    sender: Sender
    patient: str = field(default_factory=nhs_number)
    number: str = field(default_factory=report_number)

    def oru(self, *observations: str, status: str = "F", day: int = 10, **said: str) -> bytes:
        """Write a report; ``said`` are MSH-3, MSH-10, identifiers, and what follows MSH-12."""
        control_id = said.get("control_id") or f"K{next(NUMBERS)}"
        sender = said.get("sender", "LAB")
        ids = said.get("ids", f"{self.patient}^^^NHS^NH")
        lines = [
            f"MSH|^~\\&|{sender}|T25|XDS|SCR|202608{day}120000||ORU^R01|{control_id}|P|2.5.1"
            + said.get("more", ""),
            f"PID|1||{ids}||{said.get('name', 'Doe^Ann')}||19800229|F",
            f"OBR|1|P1^LAB|{self.number}^LAB|11502-2^Report^LN|||20260801"
            f"|||||||||||||||202608{day}120000|||{status}",
            *observations,
        ]
        return "".join(f"{one}\r" for one in lines).encode(said.get("codec", "utf-8"))

    def send(self, content: bytes) -> list[str]:
        """Send a message, and return what its acknowledgement says."""
        self.sender.post(content)
        return told(self.sender.read())

    def entries(self) -> Sequence[DocumentEntry]:
        """Return what is filed of the patient."""
        patient = f"{self.patient}^^^&{NHS}&ISO"
        with DocumentConsumer(self.server.registry_url) as consumer:
            return consumer.find_documents(patient, status=_BOTH).document_entries

    def filed(self) -> tuple[list[str], list[str]]:
        """Return the hashes of the documents that stand, and of those that do not."""
        latest = {one.logical_id: one for one in sorted(self.entries(), key=_version)}
        both = [
            sorted(one.hash or "" for one in latest.values() if one.availability_status == status)
            for status in _BOTH
        ]
        return both[0], both[1]


def _version(entry: DocumentEntry) -> int:
    return int(entry.version or 1)


@pytest.fixture(scope="module")
def receiver() -> Iterator[MllpReceiver]:
    """What takes application acknowledgements."""
    with receiving() as found:
        yield found


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory, databases: Databases, receiver: MllpReceiver
) -> Iterator[Server]:
    """A server whose patients have national numbers."""
    data = tmp_path_factory.mktemp("constructions")
    flavours = tmp_path_factory.mktemp("flavours")
    (flavours / "joins.toml").write_text(JOINS)
    (flavours / "strict.toml").write_text(STRICT)
    for name, asks in (("apart", "AL"), ("silent", "NE")):
        told = f'acknowledge_to = "{receiver.url}"\nacknowledge_to_asks = "{asks}"\n'
        (flavours / f"{name}.toml").write_text(f'{told}[[match]]\napplication = "{name}"\n')
    options = {
        "database": databases.url(data),
        "mllp_port": str(free_port()),
        "assigning_authority": NHS,
        "flavours": str(flavours),
        "workers": "1",
    }
    with serving(data, options) as found:
        yield found


@pytest.fixture
def ward(server: Server) -> Iterator[Ward]:
    with connected(int(server.options["mllp_port"])) as sender:
        yield Ward(server, sender)


def version(ward: Ward, status: str) -> bytes:
    """Write one of the versions P, F, C and X of a report, each a day later."""
    content = [] if status == "X" else [ed(pdf(status), status)]
    return ward.oru(*content, status=status, day=10 + "PFCX".index(status))


# --- 1


@pytest.mark.parametrize("order", ["PFCX", "XCFP", "CXPF", "PFC", "CFP"])
def test_01_versions_of_a_number_end_alike_in_any_order(ward: Ward, order: str) -> None:
    for status in order:
        assert ward.send(version(ward, status))[0] == "AA"
    standing = [] if "X" in order else [sha1(pdf("C"))]
    assert ward.filed()[0] == standing


def test_01_versions_on_two_connections_at_once_make_one_chain(ward: Ward) -> None:
    def sent(status: str) -> str:
        with connected(int(ward.server.options["mllp_port"])) as sender:
            return Ward(ward.server, sender).send(version(ward, status))[0]

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(sent, "FC")) == ["AA", "AA"]
    assert ward.filed()[0] == [sha1(pdf("C"))]


# --- 2


def test_02_a_control_id_is_of_one_content_for_as_long_as_its_record_stands(ward: Ward) -> None:
    control_id = f"SAME{ward.number}"
    first = ward.oru(ed(pdf("one")), control_id=control_id)
    assert ward.send(first) == ward.send(first) == ["AA"]
    other = ward.oru(ed(pdf("two")), control_id=control_id, day=11)
    assert ward.send(other) == ["AA", "W 205 MSH^1^10 duplicate-id"]
    made = [sha1(pdf("two"))], [sha1(pdf("one"))]
    assert ward.filed() == made
    database = Database(ward.server.database)
    with database.write() as connection:
        rows = update(message).where(message.c.control_id == control_id)
        connection.execute(rows.values(received=message.c.received - 401 * DAY))
    database.close()
    given = ["--data", str(ward.server.data), "--database", ward.server.database]
    assert CliRunner().invoke(main, ["messages", "purge", *given]).output == "2 removed.\n"
    assert ward.send(first) == ["AA"]
    assert ward.filed() == made


# --- 3


@pytest.mark.parametrize("is_padded", [False, True])
def test_03_a_document_in_three_pieces_is_one(ward: Ward, is_padded: bool) -> None:
    content = pdf("in pieces" * 9)
    text = base64.b64encode(content).decode()
    if is_padded:
        parts = content[:40], content[40:83], content[83:]
        pieces = [base64.b64encode(one).decode() for one in parts]
    else:
        pieces = [text[:41], text[41:83], text[83:]]
    rows = [
        f"OBX|{place}|ED|11502-2^Report^LN|1|^application^pdf^Base64^{one}||||||F"
        for place, one in enumerate(pieces, 1)
    ]
    assert ward.send(ward.oru(*rows, sender="JOINS" if is_padded else "LAB")) == ["AA"]
    assert ward.filed() == ([sha1(content)], [])


# --- 4


def test_04_each_message_of_a_batch_is_judged_alone(ward: Ward) -> None:
    bad = ward.oru(ed(pdf("bad")[:-8]))
    other = Ward(ward.server, ward.sender, ward.patient)
    batch = b"FHS|^~\\&|LAB|T25\rBHS|^~\\&|LAB|T25|XDS|SCR|||||B1\r" + ward.oru(ed(pdf("a")))
    batch += bad + other.oru(ed(pdf("b"))) + b"BTS|3\rFTS|1\r"
    ward.sender.post(batch)
    answer = ward.sender.read()
    assert told(answer) == ["AA", "AR", "E 102 OBX^1^5 corrupt", "AA"]
    header = next(one.split(b"|") for one in answer.split(b"\r") if one.startswith(b"BHS"))
    assert header[11] == b"B1"
    assert ward.filed() == (sorted([sha1(pdf("a")), sha1(pdf("b"))]), [])


def parts(ward: Ward, content: bytes, pointers: Sequence[str], sender: str = "LAB") -> list[bytes]:
    """Write a report in parts: it is cut within its document, first at the end of a segment."""
    before, mark, row = ed(content).partition("|1|ED")
    step = len(row) // (len(pointers) + 1) + 1
    pieces = [row[at : at + step] for at in range(0, len(row), step)]
    first = ward.oru(before + mark + pieces[0], "ADD", f"DSC|{pointers[0]}|F", sender=sender)
    found = [first]
    for piece, follows, awaits in zip(pieces[1:], pointers, [*pointers[1:], ""], strict=True):
        header = ward.oru(more=f"||{follows}", sender=sender).partition(b"\r")[0]
        last = f"\rADD|{piece}\r" + (f"ADD\rDSC|{awaits}|F\r" if awaits else "")
        found.append(header + last.encode())
    return found


@pytest.mark.parametrize("pointers", [["A1", "A2"], ["SAME", "SAME"], ["A1"]], ids="-".join)
def test_04_a_message_in_parts_is_filed_with_the_last_one(
    ward: Ward, pointers: Sequence[str]
) -> None:
    content = pdf("in parts" * 50)
    *first, last = parts(ward, content, [*pointers])
    for one in first:
        assert ward.send(one) == ward.send(one) == ["AA"]
        assert ward.filed() == ([], [])
    assert ward.send(last) == ward.send(last) == ["AA"]
    assert ward.filed() == ([sha1(content)], [])
    assert [ward.send(one) for one in (*first, last)] == [["AA"]] * (len(first) + 1)
    assert ward.filed() == ([sha1(content)], [])


def test_04_a_part_belongs_to_the_last_beginning_of_its_sender(ward: Ward) -> None:
    old = parts(ward, pdf("given up" * 20), ["P"])
    new = parts(ward, pdf("sent anew" * 20), ["P"])
    other = parts(ward, pdf("of another" * 20), ["P"], sender="OTHER")
    for one in (old[0], new[0], other[0]):
        assert ward.send(one) == ["AA"]
    assert ward.send(new[1]) == ["AA"]
    assert ward.filed() == ([sha1(pdf("sent anew" * 20))], [])


def test_04_what_is_wrong_is_told_where_the_whole_is_here(ward: Ward) -> None:
    first, last = parts(ward, pdf("cut" * 20)[:-8], ["P"])
    assert ward.send(first) == ["AA"]
    assert ward.send(last) == ["AR", "E 102 OBX^1^5 corrupt"]
    mended = parts(ward, pdf("cut" * 20), ["P"])
    assert [ward.send(one) for one in mended] == [["AA"], ["AA"]]
    assert ward.filed() == ([sha1(pdf("cut" * 20))], [])


def test_04_a_part_without_the_one_before_it_is_refused(ward: Ward) -> None:
    first, last = parts(ward, pdf("half"), ["LOST"])
    lost = ["AR", "E 100 MSH^1^14 unreadable"]
    assert ward.send(last) == lost
    # a beginning that is refused takes the place of the one before it
    assert ward.send(first) == ["AA"]
    assert ward.send(first.replace(b"|P|2.5.1", b"|T|2.5.1")) == ["AR", "E 202 MSH^1^11 processing"]
    assert ward.send(last) == lost
    header, _, rest = ward.oru(ed(pdf("x"))).partition(b"\r")
    assert ward.send(header + b"\rADD|more\r" + rest) == ["AR", "E 100 ADD^1 unreadable"]
    marked = parts(ward, pdf("other marks"), ["M"])
    assert ward.send(marked[0]) == ["AA"]
    assert ward.send(marked[1].replace(b"^~\\&", b"^~\\%")) == ["AR", "E 100 MSH^1^2 unreadable"]
    assert ward.filed() == ([], [])
    assert ward.send(ward.oru(ed(pdf("whole")), "DSC|")) == ["AA"]


def test_04_a_segment_goes_on_in_the_next_one_of_a_message(ward: Ward) -> None:
    content = pdf("continued" * 20)
    row = ed(content)
    message = ward.oru(row[:60], f"ADD|{row[60:90]}", f"ADD|{row[90:]}")
    assert ward.send(message) == ward.send(message) == ["AA"]
    assert ward.filed() == ([sha1(content)], [])


def test_04_a_change_of_a_patient_does_not_come_in_parts(ward: Ward) -> None:
    ward.sender.post(adt("A04", pid(cx("1", NHS)), "DSC|NEXT|F"))
    assert told(ward.sender.read())[0] == "AR"


# --- 5


def test_05_the_life_of_a_document_by_mdm(ward: Ward) -> None:
    one, two, three = (report_number() for _ in range(3))
    assert ward.send(mdm("T02", ward.patient, one, content=pdf("1"))) == ["AA"]
    assert ward.send(mdm("T06", ward.patient, two, parent=one, content=pdf("2"))) == ["AA"]
    assert ward.filed() == (sorted([sha1(pdf("1")), sha1(pdf("2"))]), [])
    assert ward.send(mdm("T10", ward.patient, three, parent=one, content=pdf("3"))) == ["AA"]
    assert ward.filed()[0] == [sha1(pdf("3"))]  # an addendum goes with what it is added to
    assert ward.send(mdm("T11", ward.patient, three)) == ["AA"]
    assert ward.filed()[0] == []
    assert len(ward.filed()[1]) == 3


def test_05_an_addendum_or_a_cancellation_comes_first(ward: Ward) -> None:
    one, two = report_number(), report_number()
    cancelled = ward.send(mdm("T11", ward.patient, one))
    assert cancelled == ["AR", "E 204 TXA^1^12 document-unknown"]
    late = ward.send(mdm("T02", ward.patient, one, content=pdf("1")))
    assert late == ["AA", "W 205 OBX^1^5 older"]
    again = ward.send(mdm("T02", ward.patient, one, content=pdf("1")))
    assert again == late
    assert ward.filed() == ([], [sha1(pdf("1"))])
    added = ward.send(mdm("T06", ward.patient, two, parent=one, content=pdf("2")))
    assert added == ["AA", "W 204 TXA^1^13 document-unknown"]
    assert ward.filed() == ([sha1(pdf("2"))], [sha1(pdf("1"))])


def test_05_a_document_that_was_cancelled_before_is_refused_where_that_is_wanted(
    ward: Ward,
) -> None:
    number, sender = report_number(), "STRICT|T25"
    told = ward.send(mdm("T11", ward.patient, number, sender=sender))
    assert told == ["AA", "W 204 TXA^1^12 document-unknown"]
    late = mdm("T02", ward.patient, number, sender=sender)
    assert ward.send(late) == ["AR", "E 205 OBX^1^5 older"]
    assert ward.filed() == ([], [])
    newer = late.replace(b"||20260301120000||||||", b"||20260302120000||||||")
    assert newer != late
    assert ward.send(newer)[0] == "AA"
    assert len(ward.filed()[0]) == 1


# --- 6


def test_06_delimiters_are_those_of_the_message_in_its_answer_too(ward: Ward) -> None:
    plain = ward.oru(ed(pdf("other marks")), name="O\\S\\Brien^Ann")
    head, _, rest = plain.partition(b"^~\\&")
    marks = bytes.maketrans(b"|^~\\&", b"!$%&@")
    ward.sender.post(head.translate(marks) + b"$%&@" + rest.translate(marks))
    answer = ward.sender.read()
    assert answer.startswith(b"MSH!$%&@!")
    assert told(answer.replace(b"!", b"|")) == ["AA"]
    assert ward.filed() == ([sha1(pdf("other marks"))], [])
    assert any("O$Brien" in one for one in known(ward))


def known(ward: Ward) -> Sequence[str]:
    """Return what the entry has of the person."""
    (entry,) = ward.entries()
    return [str(one) for one in entry.source_patient_info]


# --- 7


def test_07_escapes_within_base64_are_no_part_of_it(ward: Ward) -> None:
    row = ed(pdf("broken")).replace("^JVBER", r"^JV\X0D0A\BE\.br\R")
    row = row.replace("11502-2^Report^LN", r"11502-2^A\E\S\E\B^LN")
    assert ward.send(ward.oru(row)) == ["AA"]
    (entry,) = ward.entries()
    assert (entry.hash, entry.title) == (sha1(pdf("broken")), r"A\S\B")


# --- 8


@pytest.mark.parametrize(
    ("codec", "declared", "name"),
    [
        ("latin-1", "8859/1", "Andr\xe9"),
        ("cp1252", "8859/1", "O\u2019Brien"),
        ("cp1252", "", "O\u2019Brien"),
        ("utf-8", "UNICODE UTF-8", "Andr\xe9"),
        ("utf-8", "8859/1", "Andr\xe9"),
    ],
)
def test_08_a_name_is_read_and_an_answer_written_in_the_charset_of_the_bytes(
    ward: Ward, codec: str, declared: str, name: str
) -> None:
    control_id = f"\xe9{next(NUMBERS)}"
    more = f"||||||{declared}"
    sent = ward.oru(ed(pdf(name)), name=name, control_id=control_id, more=more, codec=codec)
    ward.sender.post(sent)
    answer = ward.sender.read()
    assert told(answer) == ["AA"]
    assert b"MSA|AA|" + control_id.encode(codec) in answer
    assert any(name in one for one in known(ward))


def test_08_what_is_in_utf16_is_no_message(ward: Ward) -> None:
    answer = ward.send(ward.oru(ed(pdf("wide")), codec="utf-16-le"))
    assert answer[0] == "AR"
    assert ward.send(ward.oru(ed(pdf("narrow")))) == ["AA"]
    assert ward.filed() == ([sha1(pdf("narrow"))], [])


# --- 9


def test_09_what_is_cut_files_nothing(ward: Ward) -> None:
    content = pdf("cut" * 4_000)
    whole = ward.oru(ed(content))
    for size in range(1_000, len(whole), 1_000):
        with connected(int(ward.server.options["mllp_port"])) as cut:
            cut.send(START + whole[:size])
    short = ed(content[:-7])  # the last byte of the mark of its end
    assert ward.send(ward.oru(short)) == ["AR", "E 102 OBX^1^5 corrupt"]
    lacking = ed(content)[: -len("||||||F") - 1]
    assert ward.send(ward.oru(lacking + "||||||F")) == ["AR", "E 102 OBX^1^5 corrupt"]
    assert ward.filed() == ([], [])
    assert ward.send(whole) == ["AA"]
    assert ward.filed() == ([sha1(content)], [])


@pytest.mark.slow
def test_09_sixty_megabytes_and_twenty_thousand_results(ward: Ward) -> None:
    ward.sender.socket.settimeout(PATIENCE)  # a busy machine needs long to render 19,000 rows
    content = pdf("large" * 12_000_000)
    assert ward.send(ward.oru(ed(content))) == ["AA"]
    assert ward.filed() == ([sha1(content)], [])
    other = Ward(ward.server, ward.sender)
    rows = [f"OBX|{place}|NM|{place}^Test^L||{place}|g/L|||||F" for place in range(1, 20_001)]
    assert other.send(other.oru(*rows)) == ["AR", "E 207 MSH^1 too-large"]
    assert other.filed() == ([], [])
    assert other.send(other.oru(*rows[:19_000])) == ["AA"]
    assert len(other.filed()[0]) == 1


# --- 10


def test_10_ids_of_two_patients_are_refused(ward: Ward) -> None:
    other, local = nhs_number(), f"A{next(NUMBERS)}"
    both = f"{ward.patient}^^^NHS^NH~{other}^^^NHS^NH"
    conflict = ward.send(ward.oru(ed(pdf("both")), ids=both))
    assert conflict == ["AR", "E 204 PID^1^3^2 patient-id"]
    feed = adt("A28", pid(cx(other, NHS), cx(local, LOCAL)), control_id=f"A{next(NUMBERS)}")
    assert ward.sender.ask(feed).code == "AA"
    both = f"{ward.patient}^^^NHS^NH~{local}^^^&{LOCAL}&ISO^MR"
    conflict = ward.send(ward.oru(ed(pdf("both")), ids=both))
    assert conflict == ["AR", "E 204 PID^1^3 patient-id"]
    assert ward.filed() == Ward(ward.server, ward.sender, other).filed() == ([], [])
    alone = f"{local}^^^&{LOCAL}&ISO^MR"
    assert ward.send(ward.oru(ed(pdf("both")), ids=alone)) == ["AA"]
    assert Ward(ward.server, ward.sender, other).filed() == ([sha1(pdf("both"))], [])


# --- 11

CDA: Final = b"<ClinicalDocument xmlns='urn:hl7-org:v3'><title>X</title></ClinicalDocument>"


@pytest.mark.parametrize("is_packed", [False, True])
def test_11_a_cda_comes_as_text_or_in_a_package(ward: Ward, is_packed: bool) -> None:
    row = f"OBX|1|ED|11502-2^Report^LN||^text^xml^A^{CDA.decode()}||||||F"
    if is_packed:
        package = (
            b"MIME-Version: 1.0\r\nContent-Type: multipart/related; boundary=B\r\n\r\n"
            b"--B\r\nContent-Type: text/xml\r\n\r\n" + CDA + b"\r\n--B--\r\n"
        )
        row = ed(package, form="multipart^related")
    assert ward.send(ward.oru(row)) == ["AA"]
    (entry,) = ward.entries()
    assert (entry.mime_type, entry.hash) == ("text/xml", sha1(CDA))


# --- 12


def test_12_a_report_of_the_wrong_patient_is_withdrawn_and_filed_under_the_right_one(
    ward: Ward,
) -> None:
    right = Ward(ward.server, ward.sender, number=ward.number)
    assert ward.send(ward.oru(ed(pdf("wrong")))) == ["AA"]
    for content in ("wrong", "other"):
        early = right.send(right.oru(ed(pdf(content)), day=12))
        assert early == ["AR", "E 204 PID^1^3 patient-id"]
    assert right.filed() == ([], [])
    assert ward.send(ward.oru(ed(pdf("wrong"), "W"), day=11)) == ["AA"]
    entry = max(ward.entries(), key=_version)
    assert [one.code for one in entry.confidentiality_code] == ["V"]
    assert ward.filed() == ([], [sha1(pdf("wrong"))])
    assert right.send(right.oru(ed(pdf("wrong")), day=12)) == ["AA"]
    assert right.filed() == ([sha1(pdf("wrong"))], [])


# --- 13

MODES: Final = {
    ("", ""): ["AA"],
    ("", "AL"): ["AA"],
    ("", "NE"): [],
    ("AL", ""): ["CA"],
    ("AL", "AL"): ["CA", "AA"],
    ("AL", "NE"): ["CA"],
    ("NE", ""): [],
    ("NE", "AL"): ["AA"],
    ("NE", "NE"): [],
}


@pytest.mark.parametrize("mode", list(product(("", "AL", "NE"), repeat=2)), ids="-".join)
def test_13_acknowledgements_are_those_that_were_asked_for_on_the_same_connection(
    ward: Ward, mode: Any
) -> None:
    asked = ward.oru(ed(pdf("asked")), more="|||" + "|".join(mode))
    last = f"LAST{next(NUMBERS)}"
    ward.sender.post(asked, ward.oru(ed(pdf("asked")), control_id=last))
    answers: list[bytes] = []
    while not answers or f"|{last}\r".encode() not in answers[-1]:
        answers.append(ward.sender.read())
    assert [told(one)[0] for one in answers[:-1]] == MODES[mode]
    own = [one.split(b"|")[9] for one in answers]
    assert len(set(own)) == len(own)
    assert ward.filed() == ([sha1(pdf("asked"))], [])


@pytest.mark.parametrize(
    ("mode", "here", "there"),
    [
        ("AL|AL", ["CA", "CE"], ["AA", "AR"]),
        ("NE|AL", [], ["AA", "AR"]),
        ("AL|ER", ["CA", "CE"], ["AR"]),
        ("AL|NE", ["CA", "CE"], []),
        ("", ["AA", "AR"], []),
    ],
)
@pytest.mark.parametrize("sender", ["APART", "SILENT"])
def test_13_application_acknowledgements_go_to_the_address_of_their_sender(
    ward: Ward, receiver: MllpReceiver, sender: str, mode: str, here: list[str], there: list[str]
) -> None:
    mark = f"M{next(NUMBERS)}"
    more = f"|||{mode}"
    asked = [
        ward.oru(ed(pdf(mark)), sender=sender, more=more, control_id=f"{mark}G"),
        ward.oru(ed(pdf(mark)[:-8]), sender=sender, more=more, control_id=f"{mark}B"),
    ]
    ward.sender.post(*asked, ward.oru(ed(pdf(mark)), control_id=f"{mark}L"))
    answers: list[bytes] = []
    while not answers or f"|{mark}L\r".encode() not in answers[-1]:
        answers.append(ward.sender.read())
    assert [told(one)[0] for one in answers[:-1]] == here
    came = receiver.wait_for(len(there), f"|{mark}")
    assert [segment(one, "MSA")[1] for one in came] == there
    asks = ["AL" if sender == "APART" else "NE", "NE"]
    assert [segment(one, "MSH")[15:17] for one in came] == [asks] * len(there)
    if there:
        assert segment(came[-1], "ERR")[3].startswith("102^")


# --- beside these


def test_a_control_character_is_told_by_its_field(ward: Ward) -> None:
    named = ward.oru(ed(pdf("1")), name="Do\0e^A\x07nn")
    assert ward.send(named) == ["AR", "E 102 PID^1^5 datatype"]
    numbered = ward.oru(ed(pdf("1")), control_id="X\x01Y")
    assert ward.send(numbered) == ["AR", "E 102 MSH^1^10 datatype"]
    assert ward.filed() == ([], [])
    escaped = ward.oru(ed(pdf("1")), name="Do\\X01\\e^Ann")
    assert ward.send(escaped) == ["AR", "E 102 PID^1^5 datatype"]
    assert ward.filed() == ([], [])
    assert ward.send(ward.oru("OBX|1|TX|T^Text^L||li\2ne\\X02\\||||||F")) == ["AA"]
