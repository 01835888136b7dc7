"""`xds show`: the page of a document in a browser, on the terminal, in a file."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.fhir.asked import ask, new_patient
from tests.pages.documents import BROWSER, with_text
from tests.serving import Server
from xds.__main__ import main
from xds.client import page_text

ROOT = Path(__file__).parents[2]
TEXT = (
    "<table><caption>Values</caption><thead><tr><th>Test</th><th>Value</th></tr></thead>"
    "<tr><td>Iron</td><td><paragraph>5.1</paragraph><paragraph>high</paragraph></td></tr></table>"
    "<list><item>one</item><item>two</item></list>"
)


@pytest.fixture
def report(tmp_path: Path) -> Path:
    path = tmp_path / "report.xml"
    path.write_bytes(with_text(TEXT))
    return path


def run(server: Server, *arguments: object) -> Result:
    given = [str(one) for one in arguments]
    return CliRunner().invoke(main, [*given, "--url", server.url])


def submitted(server: Server, path: Path) -> str:
    result = run(server, "submit", path, "--patient", new_patient(), "--json")
    assert result.exit_code == 0, result.output
    found: str = json.loads(result.stdout)["documents"][0]["unique_id"]
    return found


def in_process(server: Server, environment: dict[str, str], *arguments: object) -> str:
    """Run the command as a user does, with another environment; return what it prints."""
    command = [sys.executable, "-m", "xds", *map(str, arguments), "--url", server.url]
    kept = {"PATH": "", "HOME": os.environ.get("HOME", "/")}
    done = subprocess.run(
        command, env={**kept, **environment}, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def browser(opened: Path) -> str:
    """Make a browser that writes into a file what it is to open."""
    path = opened.with_name("browser")
    path.write_text(f'#!/bin/sh\necho "$1" >> {opened}\n')
    path.chmod(0o700)
    return str(path)


def test_the_text_of_a_page_is_printed(server: Server, report: Path) -> None:
    result = run(server, "show", submitted(server, report), "--text")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    for line in ("Report of <blood>", "Ada Sample", "Test | Value", "Iron | 5.1 high", "- two"):
        assert line in lines
    assert "Skip to the content" not in lines
    assert "color-scheme" not in result.stdout


def test_a_page_is_written_to_a_file(server: Server, report: Path, tmp_path: Path) -> None:
    unique_id, target = submitted(server, report), tmp_path / "page.html"
    assert run(server, "show", unique_id, "--html", target).exit_code == 0
    assert target.read_bytes().startswith(b"<!DOCTYPE html>")
    again = run(server, "show", unique_id, "--html", target)
    assert again.exit_code == 1
    assert "is there already; --force writes over it" in again.stderr
    assert run(server, "show", unique_id, "--html", target, "--force").exit_code == 0


def test_a_page_opens_in_the_browser_that_the_user_has(
    server: Server, report: Path, tmp_path: Path
) -> None:
    opened = tmp_path / "opened"
    environment = {"BROWSER": browser(opened)}
    assert in_process(server, environment, "show", submitted(server, report)) == ""
    patient = new_patient()
    in_process(server, environment, "submit", report, "--patient", patient, "--show")
    urls = opened.read_text().split()
    assert len({*urls}) == 2
    assert all(url.startswith(f"{server.url}/fhir/document/") for url in urls)


def test_the_command_of_the_readme_opens_a_page(server: Server, tmp_path: Path) -> None:
    section = (ROOT / "README.md").read_text().partition("## See a document in one command\n")[2]
    (line,) = re.findall(r"(?m)^    (.+)$", section.partition("\n## ")[0])
    opened = tmp_path / "opened"
    command, *arguments = shlex.split(line)
    assert command == ".venv/bin/xds"
    in_process(server, {"BROWSER": browser(opened)}, *arguments)
    path = opened.read_text().strip().removeprefix(f"{server.url}/fhir")
    page = ask(server, "GET", path, {"Accept": BROWSER}).body
    assert b"Ada Jane Sample" in page
    assert b"another patient" not in page


def test_the_text_is_printed_where_there_is_no_browser(server: Server, report: Path) -> None:
    assert "Ada Sample" in in_process(server, {}, "show", submitted(server, report))


def test_what_is_not_there_is_told(server: Server) -> None:
    result = run(server, "show", "9.9.9")
    assert result.exit_code == 1
    assert result.stderr == f"Error: No document 9.9.9 is registered at {server.registry_url}.\n"
    elsewhere = CliRunner().invoke(
        main, ["show", "9.9.9", "--url", "ftp://example.org", "--registry", server.registry_url]
    )
    assert elsewhere.exit_code != 0


def test_what_comes_in_a_preformatted_text_keeps_its_lines() -> None:
    page = (
        b"<style>p{}</style><h1>T</h1><pre>a\n  b\n</pre><nav>x<a>y</a></nav><p>c <img alt='d'></p>"
    )
    assert page_text(page) == ["", "T", "=", "a", "  b", "c [image: d]"]
