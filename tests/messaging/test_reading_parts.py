"""Patient ids, times and values of messages, each by itself."""

from pathlib import Path

import pytest

from tests.messaging.test_reading import FIXTURES
from xds.hl7v2.message import Message
from xds.messaging.flavours.reading import read_flavours
from xds.messaging.flavours.table import FlavourTable
from xds.messaging.v2 import times
from xds.messaging.v2.reading import read
from xds.messaging.verdicts import ContentRefused

_NHS = "2.16.840.1.113883.2.1.4.1"
_CHI = "2.16.840.1.113883.2.1.3.2.4.16.53"


@pytest.fixture(scope="module")
def flavours(tmp_path_factory: pytest.TempPathFactory) -> FlavourTable:
    """Flavours of a deployment that knows the domain of R0A, and kinds of numbers."""
    folder: Path = tmp_path_factory.mktemp("flavours")
    (folder / "labsys.toml").write_text(
        '[domains]\nR0A = "2.999.1.2"\n[id_types]\nLOCAL = "2.999.1.3"\n'
        '[[match]]\napplication = "LABSYS"\n'
    )
    return read_flavours(folder)


@pytest.mark.parametrize(
    ("pid", "expected"),
    [
        ("PID|1||999 000 0018^^^NHS", [("9990000018", _NHS)]),
        ("PID|1||9990000018^^^RIE^NH~A1^^^R0A^MR", [("9990000018", _NHS), ("A1", "2.999.1.2")]),
        ("PID|1||A1^^^R0A^MR~9990000018^^^NHSNBR", [("9990000018", _NHS), ("A1", "2.999.1.2")]),
        ("PID|1||0101000006^^^CHI^NH~^^^^MR", [("0101000006", _CHI)]),
        ("PID|1|9990000018|^^^^MR", [("9990000018", _NHS)]),
        (
            "PID|1|123-45-6789|A1^^^R0A||||||||||||||||999-000-0026",
            [
                ("9990000026", _NHS),
                ("A1", "2.999.1.2"),
            ],
        ),
        ("PID|1||A1^^R0A", [("A1", "2.999.1.2")]),
        ("PID|1||A1^^^^LOCAL", [("A1", "2.999.1.3")]),
        ("PID|1||A1^^^R0A&2.999.9&ISO", [("A1", "2.999.9")]),
        ("PID|1||A&1^^^r0a", [("A&1", "2.999.1.2")]),
        ("PID|1||MR~A1^^^R0A~0000^^^R0A", [("A1", "2.999.1.2")]),
        ("PID|1||A1^^^T1&2.16.1&HCD^MR", []),
        ("PID|1||A1", []),
        ('PID|1||""^^^R0A', []),
        ("PID|1||9990000019^^^NHS", []),
        ("PID|1|99900000180", []),
    ],
)
def test_identifiers_are_known_by_authority_kind_and_place(
    pid: str, expected: list[tuple[str, str]], flavours: FlavourTable
) -> None:
    lines = (FIXTURES / "oru_lenient.hl7").read_text().splitlines()
    lines[1] = pid
    message = Message.read("\r".join(lines).encode())
    if not expected:
        with pytest.raises(ContentRefused) as error:
            read(message, flavours)
        assert {one.verdict.name for one in error.value.findings} == {"patient-id"}
        return
    patient = read(message, flavours).patient
    assert patient is not None
    assert [(one.value, one.domain) for one in patient.identifiers] == expected


@pytest.mark.parametrize(
    ("text", "offset", "expected"),
    [
        ("20260712093000", "", "20260712083000"),
        ("20260112093000", "", "20260112093000"),
        ("20260712093000", "+0200", "20260712073000"),
        ("20260712093000.1234-0500", "+0200", "20260712143000"),
        ("202607120930+0100", "", "202607120830"),
        ("20260712", "+0200", "20260712"),
        ("202607", "", "202607"),
        ("202607120000", "", "202607120000"),
        ("202607120000+0100", "", "202607112300"),
    ],
)
def test_times_are_in_utc_as_precise_as_they_were(text: str, offset: str, expected: str) -> None:
    assert times.dtm(text, offset, "Europe/London") == expected


@pytest.mark.parametrize("text", ["", "2026071", "20260230", "2026-07-12", "202607122500", "now"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a"):
        times.dtm(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("20180309150012+0100", "09-Mar-2018 15:00:12"),
        ("20180309", "09-Mar-2018"),
        ("201803", "Mar-2018"),
        ("2018", "2018"),
        ("soon", "soon"),
    ],
)
def test_a_time_is_shown_as_people_read_it(text: str, expected: str) -> None:
    assert times.shown(text) == expected
