"""`xds messages try` shows what a message would become, and fails where it would be refused."""

import hashlib
import json
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from tests.messaging.test_reading import FIXTURES, PDF
from xds.__main__ import main


def tried(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["messages", "try", *map(str, arguments)])


def test_a_message_is_shown_with_its_documents() -> None:
    result = tried(FIXTURES / "oru_pdf.hl7", "--flavour", "igene", "--json")
    assert result.exit_code == 0, result.output
    shown: dict[str, Any] = json.loads(result.stdout)
    assert (shown["verdict"], shown["flavour"]) == ("accepted", "igene")
    (report,) = shown["reports"]
    assert report["type_code"] == "1054161000000101^Genetic report^2.16.840.1.113883.6.96"
    (document,) = report["documents"]
    assert document["content"] == {
        "mime_type": "application/pdf",
        "size": len(PDF),
        "sha1": hashlib.sha1(PDF).hexdigest(),
    }


def test_lines_and_rows_that_would_be_rendered_are_shown() -> None:
    lines = [line.strip() for line in tried(FIXTURES / "oru_results.hl7").stdout.splitlines()]
    assert lines[0] == "verdict: accepted"
    assert "- MSA|AA|C-1" in lines
    assert "- Haemoglobin | 9.0 | g/dL | 12-16 | critically low, abnormal" in lines


def test_a_refused_message_fails_with_each_reason(tmp_path: Path) -> None:
    file = tmp_path / "message.hl7"
    file.write_text((FIXTURES / "oru_pdf.hl7").read_text().replace("JVBERi0xLjQ", "JVBERi0xL..."))
    result = tried(file)
    assert result.exit_code == 1
    assert "verdict: refused" in result.stdout
    assert "error corrupt at OBX^1^5: the base64 is wrong:" in result.stdout
    file.write_text("MSA|AA|1")
    assert tried(file).stderr.startswith("Error: a message begins with MSH")
    assert "there is no flavour none; there are epic" in tried(file, "--flavour", "none").stderr


def test_a_document_is_judged_as_it_is_when_it_is_filed(tmp_path: Path) -> None:
    file = tmp_path / "message.hl7"
    whole = (FIXTURES / "oru_pdf.hl7").read_text()
    without_end = whole.replace("PjQKJSVFT0YK", "PjQK").replace("Pj4KJSVFT0YK", "Pj4K")
    assert without_end != whole
    for wrong, reason in (
        (without_end, "the end of a document of application/pdf is missing"),
        (
            whole.replace("^application^pdf^", "^image^png^"),
            "the document is declared as image/png",
        ),
    ):
        file.write_text(wrong)
        result = tried(file)
        assert result.exit_code == 1
        assert f"error corrupt at OBX^1^5: {reason}" in result.stdout
        assert "MSA|AR|C-1" in result.stdout


def test_a_batch_is_shown_message_by_message(tmp_path: Path) -> None:
    file = tmp_path / "batch.hl7"
    one, other = (
        (FIXTURES / name).read_text().rstrip() for name in ("oru_pdf.hl7", "oru_results.hl7")
    )
    unreadable = "MSH|^"
    file.write_text("\r".join(["FHS|^~\\&", "BHS|^~\\&", one, other, unreadable, "BTS|3", "FTS|1"]))
    result = tried(file)
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert [line for line in lines if line.startswith(("message ", "verdict"))] == [
        "message 1 of 3",
        "verdict: accepted",
        "message 2 of 3",
        "verdict: accepted",
        "message 3 of 3",
        "verdict: refused",
    ]
    shown = json.loads(tried(file, "--json").stdout)
    assert [one["verdict"] for one in shown] == ["accepted", "accepted", "refused"]
    assert "begins with MSH" in shown[2]["findings"][0]
