"""Flavours are data: files that inherit, match senders, and are told what is wrong with them."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from xds.__main__ import main
from xds.messaging.flavours.reading import FlavourError, read_flavours
from xds.messaging.model import MessageEnvelope


def envelope(application: str, facility: str, code: str = "ORU") -> MessageEnvelope:
    return MessageEnvelope(
        code=code,
        trigger="R01",
        control_id="1",
        sending_application=application,
        sending_facility=facility,
    )


@pytest.mark.parametrize(
    ("application", "facility", "name"),
    [
        ("IGENE", "MFT", "igene"),
        ("iGene", "699X0", "nw-rie-igene"),
        ("RIE", "CAV", "nw-rie"),
        ("SHIRE", "CPP", "shire"),
        ("ACMELab", "CAV", "wales"),
        ("EpicBeaker", "MFT", "epic"),
        ("LAB", "X", "generic"),
    ],
)
def test_a_sender_has_the_first_flavour_that_matches(
    application: str, facility: str, name: str
) -> None:
    assert read_flavours().flavour_of(envelope(application, facility)).name == name


def test_a_folder_adds_to_what_is_shipped_and_takes_its_place(tmp_path: Path) -> None:
    (tmp_path / "common.toml").write_text('check_digits = "warn"\n[domains]\nX1 = "2.999.1"\n')
    (tmp_path / "igene.toml").write_text(
        'extends = "igene"\nauthority = "X1"\n[domains]\nX2 = "2.999.2"\n'
        '[[match]]\napplication = "GENE*"\nmessage = "ORU^*"\n'
    )
    table = read_flavours(tmp_path)
    flavour = table.flavour_of(envelope("Gene2", "A"))
    assert (flavour.name, flavour.authority, flavour.check_digits) == ("igene", "X1", "warn")
    assert {"X1", "X2", "NHS"} <= flavour.domains.keys()
    assert flavour.type_code == read_flavours().row("igene").flavour.type_code
    assert table.flavour_of(envelope("Gene2", "A", "MDM")).name == "generic"
    assert table.flavour_of(envelope("IGENE", "MFT")).name == "generic"
    assert "X2" not in table.row("shire").flavour.domains


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("chunks =", "{file}: Invalid value"),
        ('\nchunk = "join"', "{file}, line 2: chunk: no such key; is it chunks?"),
        ('chunks = "glue"', "{file}, line 1: chunks: Input should be 'auto', 'join' or 'separate'"),
        ('extends = "none"', "{file}, line 1: extends: there is no flavour none"),
        ('extends = "other"', "{file}, line 1: extends: the flavours extend each other"),
        ('type_code = "1^A"', "{file}, line 1: type_code: a code is written code^display^system"),
        ('type_code = "1^A^ZZ"', "{file}, line 1: type_code: the coding system ZZ is neither"),
        ('[domains]\nA = "B"', "{file}, line 2: domains.A: it is no OID"),
        ('charset = "EBCDIC"', "{file}, line 1: charset: there is no such character set"),
        ('zone = "Europe/Nowhere"', "{file}, line 1: zone: there is no such time zone"),
        ('report_number = ["OBR3"]', "{file}, line 1: report_number: a field is written as OBR-3"),
        ('[[match]]\nsender = "A"', "{file}, line 2: match.sender: no such key"),
    ],
)
def test_what_is_wrong_with_a_file_is_told_with_its_line(
    tmp_path: Path, text: str, reason: str
) -> None:
    file = tmp_path / "own.toml"
    file.write_text(text)
    (tmp_path / "other.toml").write_text('extends = "own"')
    with pytest.raises(FlavourError) as error:
        read_flavours(tmp_path)
    assert reason.format(file=file) in str(error.value)


def test_flavours_are_listed_and_shown() -> None:
    listed = CliRunner().invoke(main, ["flavours"])
    assert "shire\tgeneric\tshipped\tSHIRE|*" in listed.stdout.splitlines()
    shown = CliRunner().invoke(main, ["flavours", "shire"]).stdout.splitlines()
    assert "report_number = OBR-3, ORC-3, OBR-20" in shown
    assert "  PATNUMBER = 2.16.840.1.113883.2.1.4.1" in shown
    unknown = CliRunner().invoke(main, ["flavours", "shir"])
    assert unknown.exit_code == 1
    assert unknown.stderr.startswith("Error: there is no flavour shir; there are epic, igene, ")
