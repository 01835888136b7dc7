"""Messages through MLLP and HTTP: read, filed, acknowledged, and the document as it was sent."""

import base64
import hashlib
import http.client
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tests.hl7v2.wire import END, START, Sender, connected
from tests.ports import free_port
from tests.servers.shared import SharedServers
from tests.serving import Server
from tests.waiting import PATIENCE, until
from xds.commands.messages.send import command

NUMBERS = iter(range(1, 10_000))
PDF = b"%PDF-1.4\n1 0 obj <<>> endobj\ntrailer <<>>\n%%EOF\n"
NHS = "9434765919"


@pytest.fixture(scope="module")
def door(module_servers: SharedServers, tmp_path_factory: pytest.TempPathFactory) -> Server:
    """A server that takes messages."""
    folder = tmp_path_factory.mktemp("messages")

    def options(_: Path) -> dict[str, str]:
        return {
            "mllp_port": str(free_port()),
            "max_hl7v2_bytes": "40MiB",
            "message_folder": str(folder),
        }

    return module_servers("doors", options)


@pytest.fixture
def sender(door: Server) -> Iterator[Sender]:
    with connected(int(door.options["mllp_port"])) as connection:
        yield connection


def header(
    code: str = "ORU^R01", marks: str = "|^~\\&", version: str = "2.5.1", more: str = ""
) -> str:
    """Write MSH of a message that has a control id of its own."""
    sep = marks[0]
    code = code.replace("^", marks[1])
    parties = sep.join(("LAB", "T25", "XDS", "SCR", "20260301120000", ""))
    return f"MSH{marks}{sep}{parties}{sep}{code}{sep}M{next(NUMBERS)}{sep}P{sep}{version}{more}"


def oru(document: bytes = PDF, **more: str) -> bytes:
    """Write an ORU with a document."""
    head = header(**more)
    text = base64.b64encode(document).decode()
    lines = [
        head,
        f"PID|1||{NHS}^^^NHS^NH||Doe^Ann||19800229|F",
        f"OBR|1|P1^LAB|T{next(NUMBERS)}^LAB|11502-2^Report^LN|||20260301||||||||||||||||||F",
        f"OBX|1|ED|11502-2^Report^LN||^application^pdf^Base64^{text}||||||F",
    ]
    written = "".join(f"{line}\r" for line in lines)
    if marks := more.get("marks"):
        written = head + written[len(head) :].translate(str.maketrans("|^~\\&", marks))
    return written.encode()


def codes(answer: bytes) -> list[tuple[str, str]]:
    """Return MSA-1 and the first ERR-5 of an answer."""
    rows = [line.split("|") for line in answer.decode().split("\r")]
    errors = [row[5] for row in rows if row[0] == "ERR"]
    return [(row[1], errors[0] if errors else "") for row in rows if row[0] == "MSA"]


def post(
    server: Server, body: bytes, media_type: str = "application/hl7-v2+er7", path: str = "/hl7v2"
) -> tuple[int, str, bytes]:
    """Post a message; return status, Content-Type and body."""
    connection = http.client.HTTPConnection(server.host, server.port, timeout=PATIENCE)
    try:
        connection.request("POST", path, body, {"Content-Type": media_type} if media_type else {})
        answer = connection.getresponse()
        return answer.status, answer.getheader("Content-Type", ""), answer.read()
    finally:
        connection.close()


def stored(server: Server, document: bytes) -> bool:
    """Tell whether the server has stored a document as it is."""
    digest = hashlib.sha1(document).hexdigest()
    files = (one for one in server.data.rglob("*") if one.is_file())
    return any(hashlib.sha1(one.read_bytes()).hexdigest() == digest for one in files)


def test_an_order_with_a_form_is_filed_whatever_system_its_test_is_of(sender: Sender) -> None:
    sender.post(Path("fixtures/hl7v2/oml_form.hl7").read_bytes())
    assert codes(sender.read()) == [("AA", "")]


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, [("AA", "")]),
        ({"marks": "!$%&@"}, [("AA", "")]),
        ({"version": "2.3"}, [("AA", "")]),
        ({"more": "|||AL|NE"}, [("CA", "")]),
        ({"version": "3.0"}, [("AR", "version")]),
        ({"code": "ORU^R99"}, [("AR", "event")]),
    ],
    ids=str,
)
def test_a_report_by_mllp(
    sender: Sender, more: dict[str, Any], expected: Sequence[tuple[str, str]]
) -> None:
    sender.post(oru(**more))
    answer = sender.read()
    marks = more.get("marks", "|^~\\&")
    plain = answer.translate(bytes.maketrans(marks.encode(), b"|^~\\&"))
    assert codes(plain) == expected


def test_application_and_accept_acknowledgement_on_one_connection(sender: Sender) -> None:
    sender.post(oru(more="|||AL|AL"), oru(more="|||NE|NE"), oru())
    assert [codes(sender.read()) for _ in range(3)] == [[("CA", "")], [("AA", "")], [("AA", "")]]


def test_a_large_document_is_stored_as_it_was_sent(door: Server, sender: Sender) -> None:
    document = PDF[:20] + bytes(range(32, 127)) * 130_000 + PDF[20:]
    sender.post(oru(document))
    assert codes(sender.read()) == [("AA", "")]
    assert stored(door, document)
    sender.post(oru(document * 3))
    assert codes(sender.read()) == [("AR", "too-large")]
    sender.post(oru())
    assert codes(sender.read()) == [("AA", "")]


def test_base64_may_be_broken_by_escapes_but_not_cut(sender: Sender) -> None:
    whole = oru()
    sender.post(whole.replace(b"^JVBER", rb"^JV\X0D0A\BE\.br\R"))
    assert codes(sender.read()) == [("AA", "")]
    sender.post(oru(PDF[:-9]))
    assert codes(sender.read()) == [("AR", "corrupt")]


def test_a_connection_that_is_cut_files_nothing(door: Server) -> None:
    document = PDF[:20] + b"cut" * 3_000 + PDF[20:]
    message = oru(document)
    for size in range(0, len(message), 2_000):
        with connected(int(door.options["mllp_port"])) as cut:
            cut.send(START + message[:size])
    assert not stored(door, document)
    with connected(int(door.options["mllp_port"])) as again:
        again.post(message)
        assert codes(again.read()) == [("AA", "")]
    assert stored(door, document)


@pytest.mark.parametrize(
    ("media_type", "answered"),
    [
        ("application/hl7-v2+er7; charset=utf-8", "application/hl7-v2+er7; charset=utf-8"),
        ("x-application/hl7-v2+er7", "x-application/hl7-v2+er7; charset=utf-8"),
        ("text/plain", "text/plain; charset=utf-8"),
        ("", "application/hl7-v2+er7; charset=utf-8"),
    ],
)
def test_a_report_by_http(door: Server, media_type: str, answered: str) -> None:
    status, found, answer = post(door, oru(), media_type, "/hl7v2/lab")
    assert (status, found, codes(answer)) == (200, answered, [("AA", "")])


@pytest.mark.parametrize(
    ("body", "media_type", "status"),
    [
        (b"no message", "text/plain", 400),
        (oru(more="|||NE|NE"), "text/plain", 204),
        (oru(), "application/json", 415),
        (b"MSH|^~\\&|A|B|C|D|2026||ORU^R01|1|P|2.5\rOBX|1|TX|||" + b"x" * (41 << 20), "", 413),
        (oru(version="3.0"), "text/plain", 200),
    ],
    ids=["no MSH", "no answer", "other type", "large", "refused"],
)
def test_statuses(door: Server, body: bytes, media_type: str, status: int) -> None:
    assert post(door, body, media_type)[0] == status


@pytest.mark.parametrize("codec", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be"])
def test_a_body_may_be_of_wide_characters(door: Server, codec: str) -> None:
    document = b"%PDF-1.4\n" + codec.encode() + b"\n%%EOF\n"
    text = oru(document, more="||||||UNICODE UTF-16").decode()
    text = text.replace("Doe^Ann", "Zo\u00eb \u0141\U0001f600^Ann")
    bad = text.replace("|P|2.5.1", "|T|2.5.1", 1)
    for body, expected in ((text, ("AA", "")), (bad, ("AR", "processing"))):
        asked = "application/hl7-v2+er7; charset=utf-16"
        status, media_type, answer = post(door, body.encode(codec), asked)
        assert (status, media_type) == (200, f"application/hl7-v2+er7; charset={codec[:6]}")
        said = answer.decode(codec[:6])
        assert codes(said.encode()) == [expected]
        assert "|UNICODE UTF-16\r" in said
    assert stored(door, document)


def test_wide_characters_do_not_fit_into_mllp(sender: Sender) -> None:
    sender.post(oru().decode().encode("utf-16"))
    assert codes(sender.read()) == [("AR", "")]
    sender.post(oru())
    assert codes(sender.read()) == [("AA", "")]


def test_a_batch_by_http_is_answered_in_a_batch(door: Server) -> None:
    batch = b"BHS|^~\\&|A|B|C|D|||||7\r" + oru() + oru(version="3.0") + oru() + b"BTS|3\r"
    status, _, answer = post(door, batch)
    assert (status, answer[:4], answer[-6:]) == (200, b"BHS|", b"BTS|3\r")
    assert [code for code, _ in codes(answer)] == ["AA", "AR", "AA"]
    assert END not in answer


def send(door: Server, tmp_path: Path, content: bytes, url: str) -> tuple[int, str]:
    """Send a file by the command; return its exit code and what it prints."""
    (tmp_path / "sent.hl7").write_bytes(content)
    port = door.options["mllp_port"]
    to = {"mllp": f"mllp://127.0.0.1:{port}", "http": f"{door.url}/hl7v2"}.get(url, url)
    result = CliRunner().invoke(command, ["--to", to, str(tmp_path / "*.hl7")])
    return result.exit_code, result.output


@pytest.mark.parametrize("url", ["mllp", "http"])
def test_files_are_sent_by_the_command(door: Server, tmp_path: Path, url: str) -> None:
    code, told = send(door, tmp_path, oru() + oru(more="|||AL|AL"), url)
    assert (code, told.count(": AA taken"), told.count(": CA taken")) == (0, 2, 1)
    code, told = send(door, tmp_path, b"BHS|^~\\&|A|B\r" + oru() + oru(version="3") + b"BTS|2", url)
    assert (code, told.count(": AA taken"), told.count(": AR refused")) == (1, 1, 1)
    assert "error 203 version at MSH^1^12" in told
    code, told = send(door, tmp_path, oru(more="|||NE|NE"), url)
    assert (code, "no acknowledgement was asked for" in told) == (0, True)


def test_the_command_tells_that_nobody_answers(door: Server, tmp_path: Path) -> None:
    assert send(door, tmp_path, oru(), f"mllp://127.0.0.1:{free_port()}")[0] == 3
    assert send(door, tmp_path, oru(), "gopher://a")[0] == 2


def narrow(answer: bytes) -> bytes:
    """Return an answer in UTF-8."""
    is_wide = answer.startswith((b"\xff\xfe", b"\xfe\xff"))
    return answer.decode("utf-16").encode() if is_wide else answer


def test_files_of_the_watched_folder_are_put_aside_with_their_answers(door: Server) -> None:
    folder = Path(door.options["message_folder"])
    batch = b"BHS|^~\\&|A|B\r" + oru() + oru() + b"BTS|2\r"
    files = {"one": oru(), "batch": batch, "bad": oru(version="3.0"), "noise": b"x"}
    files["wide"] = oru(more="||||||UNICODE UTF-16").decode().encode("utf-16")
    for name, content in files.items():
        path = folder / f"{name}.hl7"
        path.with_suffix(".tmp").write_bytes(content)
        os.utime(path.with_suffix(".tmp"), (1, 1))
        path.with_suffix(".tmp").rename(path)
    until(lambda: list(folder.glob("*.hl7")), lambda left: not left)
    answers = {
        f"{path.parent.name}/{path.name}": codes(narrow(path.read_bytes()))
        for path in folder.rglob("*.ack")
    }
    assert answers == {
        "done/one.hl7.ack": [("AA", "")],
        "done/batch.hl7.ack": [("AA", ""), ("AA", "")],
        "done/wide.hl7.ack": [("AA", "")],
        "refused/bad.hl7.ack": [("AR", "version")],
        "refused/noise.hl7.ack": [("AR", "")],
    }
    assert (folder / "done" / "one.hl7").read_bytes() == files["one"]
