"""`xds submit`, `find` and `get` by hand against a server that demands users."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.serving import Server
from tests.vouching import Asserted, as_text, signed
from xds.__main__ import main


def run(server: Server, *arguments: str) -> Result:
    return CliRunner().invoke(main, [*arguments, "--url", server.url])


@pytest.fixture
def assertion(tmp_path: Path) -> str:
    path = tmp_path / "assertion.xml"
    path.write_text('<?xml version="1.0" encoding="UTF-8"?>' + as_text(signed(Asserted())))
    return str(path)


def test_a_round_trip_with_an_assertion(guarded: Server, assertion: str, tmp_path: Path) -> None:
    file = tmp_path / "report.txt"
    file.write_text("of a user")
    for_patient = ("--patient", "XUA1^^^&2.999.1.1&ISO")
    refused = run(guarded, "submit", str(file), *for_patient)
    assert refused.exit_code != 0
    assert "SAML 2.0 assertion" in refused.output
    sent = run(guarded, "submit", str(file), *for_patient, "--assertion", assertion)
    assert sent.exit_code == 0, sent.output
    found = run(guarded, "find", *for_patient, "--assertion", assertion)
    assert found.exit_code == 0, found.output
    assert "report.txt" in found.output or "report" in found.output


def test_a_file_that_is_no_assertion_is_told(guarded: Server, tmp_path: Path) -> None:
    path = tmp_path / "x.xml"
    path.write_text("no XML")
    done = run(guarded, "find", "--patient", "X^^^&2.999.1.1&ISO", "--assertion", str(path))
    assert done.exit_code == 2
    assert "--assertion" in done.output
