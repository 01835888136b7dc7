"""The commands of a document source and consumer, against the real server."""

import hashlib
import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.odd_server import envelope, http, odd_server, query_response
from tests.serving import Server
from xds.__main__ import main
from xds.client import DocumentConsumer, new_oid
from xds.commands import smoke_test
from xds.commands.client.client_options import ENVIRONMENT, safe_file_name
from xds.config import CLIENT_PREFIX, EXAMPLE_REPOSITORY, Config, unknown_environment
from xds.metadata import vocabulary as v

REPORT = Path(__file__).parent.parent / "fixtures" / "documents" / "report.xml"
PDF = REPORT.with_suffix(".pdf")

Xds = Callable[..., Result]


@pytest.fixture
def xds(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Xds:
    """Run a command against the server, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDS_CLIENT_URL", server.url)
    return run


@pytest.fixture
def patient_id() -> str:
    return f"C{new_oid()[-12:]}^^^&2.999.1.1&ISO"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def submit(xds: Xds, *arguments: object) -> list[str]:
    """Submit, and return the uniqueIds."""
    result = xds("submit", *arguments, "--json")
    assert result.exit_code == 0, result.output
    return [document["unique_id"] for document in json.loads(result.stdout)["documents"]]


# --- submit and find -----------------------------------------------------------------------------


def test_what_is_submitted_is_found(xds: Xds, patient_id: str) -> None:
    first, second = submit(xds, REPORT, PDF, "--patient", patient_id, "--creation-time", "20260102")
    result = xds("find", "--patient", patient_id)
    assert result.exit_code == 0
    heading, *lines = result.stdout.splitlines()
    assert heading == "date\ttitle\ttype\tMIME type\tsize\tstatus\tuniqueId"
    size = REPORT.stat().st_size
    assert sorted(lines) == sorted(
        [
            f"2026-01-02\treport\tNote\ttext/xml\t{size / 1000:.1f} kB\tApproved\t{first}",
            f"2026-01-02\treport\tNote\tapplication/pdf\t18.7 kB\tApproved\t{second}",
        ]
    )


def test_a_submission_says_which_file_is_what(xds: Xds, patient_id: str) -> None:
    result = xds("submit", REPORT, "--patient", patient_id)
    heading, line = result.stdout.splitlines()
    assert heading == "file\tuniqueId"
    file, unique_id = line.split("\t")
    assert file == str(REPORT)
    assert unique_id in xds("find", "--patient", patient_id).stdout


def test_every_option_of_a_submission_is_found_again(xds: Xds, patient_id: str) -> None:
    code = "51969-4^Genetic analysis report^2.16.840.1.113883.6.1"
    given: Mapping[str, str] = {
        "--title": "Long QT",
        "--mime-type": "application/xml",
        "--class-code": code,
        "--type-code": code,
        "--format-code": code,
        "--event-code": code,
        "--confidentiality-code": code,
        "--healthcare-facility-type-code": code,
        "--practice-setting-code": code,
        "--author": "^Strand^Rosa",
        "--institution": "Example Genetics Laboratory",
        "--language": "en-GB",
        "--creation-time": "20260312141500",
        "--source-patient-id": "MRN-77310^^^&2.999.1.2&ISO",
        "--comments": "as asked for",
        "--content-type-code": code,
        "--source-id": "2.999.1.88",
    }
    submit(xds, REPORT, "--patient", patient_id, *(x for pair in given.items() for x in pair))
    result = xds("find", "--patient", patient_id, "--json")
    (found,) = json.loads(result.stdout)
    plain = {
        "code": "51969-4",
        "coding_scheme": "2.16.840.1.113883.6.1",
        "display_name": "Genetic analysis report",
    }
    expected = {
        "title": "Long QT",
        "mime_type": "application/xml",
        "class_code": plain,
        "type_code": plain,
        "format_code": plain,
        "event_code_list": [plain],
        "confidentiality_code": [plain],
        "healthcare_facility_type_code": plain,
        "practice_setting_code": plain,
        "author": [{"person": ["^Strand^Rosa"], "institution": ["Example Genetics Laboratory"]}],
        "language_code": "en-GB",
        "creation_time": "20260312141500",
        "source_patient_id": "MRN-77310^^^&2.999.1.2&ISO",
        "comments": "as asked for",
        "patient_id": patient_id,
        "repository_unique_id": EXAMPLE_REPOSITORY,
        "hash": hashlib.sha1(REPORT.read_bytes(), usedforsecurity=False).hexdigest(),
        "size": str(REPORT.stat().st_size),
    }
    assert {name: found[name] for name in expected} == expected
    assert "reference_id_list" not in found


def test_the_environment_of_clients_is_none_of_the_server(xds: Xds) -> None:
    assert ENVIRONMENT == CLIENT_PREFIX
    assert "XDS_CLIENT_URL" in os.environ
    assert unknown_environment() == ()


def test_a_bare_id_needs_its_authority(xds: Xds, patient_id: str) -> None:
    (unique_id,) = submit(xds, REPORT, "--patient", patient_id)
    bare = patient_id.partition("^")[0]
    result = xds("find", "--patient", bare, "--authority", "urn:oid:2.999.1.1")
    assert unique_id in result.stdout
    result = xds("find", "--patient", bare)
    assert result.exit_code == 2
    assert "--authority is to tell who assigned it" in result.stderr
    result = xds("find", "--patient", "a^b")
    assert result.exit_code == 2
    assert "not of the form ID^^^&OID&ISO" in result.stderr


def test_find_filters(xds: Xds, patient_id: str) -> None:
    (unique_id,) = submit(
        xds, REPORT, "--patient", patient_id, "--creation-time", "2026", "--author", "^Strand"
    )
    loinc = "2.16.840.1.113883.6.1"
    for options in (
        ["--class-code", f"34109-9^^{loinc}"],
        ["--class-code", f"x^^{loinc}", "--class-code", f"34109-9^Note^{loinc}"],
        ["--from", "2026", "--to", "2027", "--author", "%Strand%"],
        ["--status", "any"],
    ):
        assert unique_id in xds("find", "--patient", patient_id, *options).stdout
    for options in (
        ["--type-code", f"x^^{loinc}"],
        ["--from", "2027"],
        ["--status", "deprecated"],
        ["--author", "%Wren%"],
    ):
        result = xds("find", "--patient", patient_id, *options)
        assert (result.exit_code, result.stdout) == (0, "")
        assert result.stderr == "No document was found.\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["find", "--patient", "P^^^&1.2&ISO", "--class-code", "x"], "form code^^scheme"),
        (["find", "--patient", "P^^^&1.2&ISO", "--from", "soon"], "not a DTM"),
        (["find", "--patient", "P^^^&1.2&ISO", "--url", "nowhere"], "not a URL of the form"),
        (["find", "--patient", "P^^^&1.2&ISO", "--ca", __file__], "certificates cannot be used"),
        (["submit", str(REPORT), "--patient", "P^^^&1.2&ISO", "--class-code", "x^^y"], "^display^"),
        (["submit", "absent.xml", "--patient", "P^^^&1.2&ISO"], "does not exist"),
        (["submit", "--patient", "P^^^&1.2&ISO"], "Missing argument"),
    ],
)
def test_a_wrong_call_is_told(xds: Xds, arguments: list[str], said: str) -> None:
    result = xds(*arguments)
    assert result.exit_code == 2
    assert said in result.stderr


def test_a_refusal_is_told_with_its_codes(xds: Xds, patient_id: str) -> None:
    result = xds("submit", REPORT, "--patient", patient_id, "--language", "q_q")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.startswith("Error: ITI-41 was refused:\n  XDSRegistryMetadataError: ")
    assert "languageCode" in result.stderr
    assert re.search(r"under request id [0-9a-f]{32}$", result.stderr.rstrip())
    assert "Traceback" not in result.stderr


def test_a_server_that_is_not_there_is_told(xds: Xds) -> None:
    result = xds("find", "--patient", "P^^^&1.2&ISO", "--registry", "http://127.0.0.1:9/")
    assert result.exit_code == 1
    assert result.stderr == "Error: 127.0.0.1:9 does not listen: the connection was refused.\n"


def test_foreign_metadata_cannot_move_the_cursor(xds: Xds) -> None:
    entry = (
        f'<rim:ExtrinsicObject id="urn:uuid:1" objectType="{v.STABLE_DOCUMENT_ENTRY}"><rim:Name>'
        '<rim:LocalizedString value="a&#9;b&#10;c&#x9b;31m"/></rim:Name></rim:ExtrinsicObject>'
    )
    with odd_server(http(envelope(query_response(entry)))) as odd:
        result = xds("find", "--patient", "P^^^&1.2&ISO", "--registry", odd.url)
    assert result.stdout.splitlines()[1] == "\ta b c 31m\t\t\t\t\t"


# --- get -----------------------------------------------------------------------------------------


def test_a_document_comes_into_a_file_of_its_name(
    xds: Xds, patient_id: str, tmp_path: Path
) -> None:
    (unique_id,) = submit(xds, PDF, "--patient", patient_id)
    result = xds("get", unique_id)
    assert result.exit_code == 0
    assert result.stdout == ""
    assert result.stderr == f"{unique_id}.pdf: 18.7 kB, hash and size as registered\n"
    assert (tmp_path / f"{unique_id}.pdf").read_bytes() == PDF.read_bytes()

    result = xds("get", unique_id)
    assert result.exit_code == 1
    assert "is there already; --force writes over it" in result.stderr
    assert xds("get", unique_id, "--force").exit_code == 0


def test_a_document_comes_where_it_is_wanted(xds: Xds, patient_id: str, tmp_path: Path) -> None:
    (unique_id,) = submit(xds, PDF, "--patient", patient_id)
    assert xds("get", unique_id, "-o", "here.bin").exit_code == 0
    assert (tmp_path / "here.bin").read_bytes() == PDF.read_bytes()
    result = xds("get", unique_id, "-o", "-")
    assert result.stdout_bytes == PDF.read_bytes()
    result = xds("get", unique_id, "-o", "there.bin", "--repository-id", EXAMPLE_REPOSITORY)
    assert (tmp_path / "there.bin").read_bytes() == PDF.read_bytes()
    assert "with nothing registered to compare it with" in result.stderr


def test_what_is_not_there_is_told(xds: Xds, server: Server) -> None:
    result = xds("get", "9.9.9")
    assert result.exit_code == 1
    assert result.stderr == f"Error: No document 9.9.9 is registered at {server.registry_url}.\n"
    result = xds("get", "9.9.9", "--repository-id", EXAMPLE_REPOSITORY)
    assert result.exit_code == 1
    assert "XDSDocumentUniqueIdError: no document 9.9.9" in result.stderr


def test_a_document_that_is_not_the_one_registered_is_not_written(
    xds: Xds, patient_id: str, tmp_path: Path
) -> None:
    (unique_id,) = submit(xds, REPORT, "--patient", patient_id)
    with DocumentConsumer(os.environ["XDS_CLIENT_URL"] + "/registry") as consumer:
        (entry,) = consumer.find_documents(patient_id).document_entries
    false = (
        f'<rim:ExtrinsicObject id="{entry.id}" objectType="{v.STABLE_DOCUMENT_ENTRY}">'
        f'<rim:Slot name="hash"><rim:ValueList><rim:Value>{"0" * 40}</rim:Value></rim:ValueList>'
        '</rim:Slot><rim:Slot name="repositoryUniqueId"><rim:ValueList><rim:Value>'
        f"{EXAMPLE_REPOSITORY}</rim:Value></rim:ValueList></rim:Slot><rim:ExternalIdentifier "
        f'id="x" registryObject="{entry.id}" value="{unique_id}" '
        f'identificationScheme="{v.DOCUMENT_ENTRY_UNIQUE_ID}"/></rim:ExtrinsicObject>'
    )
    with odd_server(http(envelope(query_response(false)))) as odd:
        result = xds("get", unique_id, "--registry", odd.url)
    assert result.exit_code == 1
    assert "is not the one registered: hash is " in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_unique_id_names_no_other_folder() -> None:
    assert safe_file_name("../../etc/passwd^a:b", ".xml").name == "_.._etc_passwd_a_b.xml"
    assert safe_file_name("..", "") == Path("document")
    assert safe_file_name("urn:oid:1.2.3", ".pdf") == Path("urn_oid_1.2.3.pdf")


# --- on a terminal -------------------------------------------------------------------------------


@pytest.mark.parametrize("columns", [60, 160])
def test_on_a_terminal_a_table_keeps_unique_ids_whole(
    xds: Xds, patient_id: str, columns: int
) -> None:
    (unique_id,) = submit(xds, REPORT, "--patient", patient_id, "--title", "t" * 100)
    leader, follower = pty.openpty()
    environment = {**os.environ, "COLUMNS": str(columns), "TERM": "xterm", "NO_COLOR": "1"}
    process = subprocess.Popen(
        [sys.executable, "-m", "xds", "find", "--patient", patient_id],
        stdout=follower,
        stderr=follower,
        env={**environment, "PYTHONPATH": str(REPORT.parent.parent.parent)},
    )
    os.close(follower)
    shown = b""
    try:
        while block := os.read(leader, 65536):
            shown += block
    except OSError:
        pass  # Linux says so when the other end is closed
    os.close(leader)
    assert process.wait() == 0
    lines = shown.decode().splitlines()
    assert any(line.endswith(unique_id) for line in lines)
    assert max(map(len, lines)) <= max(columns, len(unique_id) + 4) + 8


# --- the first round trip ------------------------------------------------------------------------


def test_the_round_trip_shows_each_step(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    config = Config(host=server.host, port=server.port, mllp_port=2575)
    smoke_test.show(config, [REPORT, PDF])
    shown = capsys.readouterr().out
    for text in (
        "ITI-41  Provide and Register Document Set-b",
        "2 documents accepted",
        "2 documents found",
        "2 documents received, hashes and sizes equal",
        hashlib.sha1(PDF.read_bytes(), usedforsecurity=False).hexdigest(),
        f"{server.registry_url}?wsdl",
        f"{server.url}/fhir/metadata",
        f"{server.url}/metrics",
        "mllp://127.0.0.1:2575",
        f"find --patient 'EXAMPLE-1^^^&2.999.1.1&ISO' --url {server.url}",
    ):
        assert text in shown
    smoke_test.show(config, [REPORT])
    assert "1 document found" in capsys.readouterr().out


def test_every_place_that_is_served_is_shown(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    config = Config(port=server.port, mllp_port=2575)
    smoke_test.show(config, [REPORT])
    shown = capsys.readouterr().out
    assert len(config.places) == 6
    assert [url for url in config.places.values() if f" {url} " not in shown] == []


def test_a_round_trip_that_fails_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(smoke_test.SmokeTestFailed, match="does not listen"):
        smoke_test.show(Config(port=9), [REPORT])
