"""What the readers of HL7 v2 make of messages that are built to be difficult."""

from pathlib import Path
from typing import Final

import pytest

from xds.hl7v2.message import Message
from xds.messaging.flavours.reading import read_flavours
from xds.messaging.flavours.table import FlavourTable
from xds.messaging.model import (
    CarriedContent,
    EntityNumber,
    MessageContent,
    MessageDocument,
    MessageReport,
    RenderedContent,
)
from xds.messaging.v2.reading import read
from xds.messaging.verdicts import ContentRefused

FIXTURES: Final = Path(__file__).parents[2] / "fixtures" / "hl7v2"
PDF: Final = b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"
FLAVOURS: Final = read_flavours()


def content(
    name: str, *changes: tuple[str, str], flavours: FlavourTable = FLAVOURS
) -> MessageContent:
    """Read a message of the fixtures, after changes of its text."""
    text = (FIXTURES / f"{name}.hl7").read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return read(Message.read(text.encode()), flavours)


def report(name: str, *changes: tuple[str, str]) -> MessageReport:
    """Read a message and return its only report."""
    (only,) = content(name, *changes).reports
    return only


def refusal(name: str, *changes: tuple[str, str]) -> list[tuple[str, str]]:
    """Return verdicts and places of a message that is refused."""
    with pytest.raises(ContentRefused) as error:
        content(name, *changes)
    return [(one.verdict.name, one.location) for one in error.value.findings]


def carried(document: MessageDocument) -> bytes:
    """Return the bytes of a document that a message carries."""
    assert isinstance(document.content, CarriedContent)
    return b"".join(document.content.chunks())


def rendered(found: MessageReport) -> RenderedContent:
    """Return what is to be rendered of a report."""
    assert isinstance(found.documents[0].content, RenderedContent)
    return found.documents[0].content


shows = pytest.mark.shows


@shows("LAB-3 R01")
def test_a_report_has_its_numbers_people_times_and_codes() -> None:
    found = content("oru_pdf", ("LABSYS|HOSP", "IGENE|MFT"))
    assert found.envelope.sender == "IGENE|MFT"
    assert found.patient is not None
    assert [one.cx for one in found.patient.identifiers] == [
        "9990000018^^^&2.16.840.1.113883.2.1.4.1&ISO",
        "P100^^^&2.999.1.1&ISO",
    ]
    assert found.patient.source_info[2:] == (
        "PID-5|Testcase^Anna",
        "PID-7|19700102",
        "PID-8|F",
        "PID-11|1 High Street^^Anytown^^AB1 2CD",
    )
    (one,) = found.reports
    assert one.number is not None
    assert (one.action, one.status, one.number.value, one.number.authority) == (
        "file",
        "final",
        "R-100",
        "699X0",
    )
    assert (one.title, one.created, one.service_start) == (
        "Biopsy",
        "20260301090000",
        "202602280915",
    )
    assert one.requester is not None
    assert (one.requester.family, one.requester.oid) == ("Doe", "2.16.840.1.113883.2.1.3.2.4.16.63")
    assert [(author.id, author.family, author.given) for author in one.authors] == [
        ("D9", "Smith", "John")
    ]
    assert [(number.value, number.authority) for number in one.placer_numbers] == [
        ("ORD-7", "HOSP")
    ]
    assert [number.value for number in one.encounter_numbers] == ["V-1"]
    assert one.requesting_organisation is not None
    assert one.requesting_organisation.code == "X9Z"
    (document,) = one.documents
    assert (carried(document), document.title) == (PDF, "Biopsy report")


@pytest.mark.parametrize(
    ("status", "mark", "action", "means"),
    [
        ("P", "F", "file", "preliminary"),
        ("R", "F", "file", "unverified"),
        ("F", "F", "file", "final"),
        ("C", "F", "file", "corrected"),
        ("", "F", "file", "final"),
        ("X", "X", "cancel", "cancelled"),
        ("F", "D", "cancel", "cancelled"),
        ("F", "W", "cancel", "cancelled"),
    ],
)
def test_a_status_says_what_is_to_be_done(status: str, mark: str, action: str, means: str) -> None:
    changes = (("||SP|F|", f"||SP|{status}|"), ("||||||F\n", f"||||||{mark}\n"))
    found = report("oru_pdf", *changes)
    assert (found.action, found.status, found.is_wrong_patient) == (action, means, mark == "W")


def test_a_status_without_results_is_announced_and_one_of_queries_refused() -> None:
    no_value = ("|PDF^Biopsy report^L||^application^pdf^Base64^", "|PDF||||||||I|")
    assert report("oru_pdf", ("||SP|F|", "||SP|I|"), no_value).action == "announce"
    assert refusal("oru_pdf", ("||SP|F|", "||SP|Y|")) == [("code", "OBR^1^25")]


@pytest.mark.parametrize("name", ["oru_chunks", "oru_escapes_in_base64", "oru_other_delimiters"])
def test_a_document_comes_out_as_it_was(name: str) -> None:
    (document,) = report(name).documents
    assert carried(document) == PDF
    assert isinstance(document.content, CarriedContent)
    assert document.content.mime_type == "application/pdf"


def test_delimiters_and_escapes_are_those_of_the_message() -> None:
    found = content("oru_other_delimiters")
    assert found.patient is not None
    assert found.patient.family == "O$Brien"
    assert report("oru_escapes_in_base64").documents[0].title == r"A\S\B"


def test_pieces_that_are_padded_are_joined_where_the_flavour_says_so(tmp_path: Path) -> None:
    (tmp_path / "labsys.toml").write_text('chunks = "join"\n[[match]]\napplication = "LABSYS"\n')
    (found,) = content("oru_padded_chunks", flavours=read_flavours(tmp_path)).reports
    assert [carried(one) for one in found.documents] == [PDF]


def test_cda_comes_as_text_and_in_a_mime_package() -> None:
    (text,) = report("oru_cda_text").documents
    assert carried(text).endswith(b"<title>A &amp; B</title></ClinicalDocument>")
    assert isinstance(text.content, CarriedContent)
    assert text.content.mime_type == "text/xml"
    cda, image = report("oru_cda_multipart").documents
    assert carried(cda).startswith(b"<ClinicalDocument")
    assert carried(image).startswith(b"\x89PNG")
    assert (cda.slot, image.slot) == ("CDA", "CDA#2")


def test_lines_of_text_keep_their_columns() -> None:
    found = rendered(report("oru_lines"))
    assert found.is_text
    assert [line for section in found.sections for line in section.lines] == [
        "Specimen:  left & right",
        "",
        "  Antibiotic   MIC",
        "",
        "  Ampicillin    S",
        "  Colistin      R",
        "Conclusion: none",
    ]
    assert [section.notes for section in found.sections] == [("Signed off",), ()]
    assert found.sections[1].heading == "(corrected)"


def test_an_end_before_the_beginning_is_left_out() -> None:
    """OBR-7 is after SPM-17, as where a laboratory writes when it received the specimen."""
    one = report("oru_results")
    assert (one.service_start, one.service_stop) == ("202602280915", "")


def test_results_are_rows_and_nothing_is_lost() -> None:
    one = report("oru_results")
    found = rendered(one)
    (section,) = found.sections
    assert section.notes == ("Sample was late",)
    assert [(row.test, row.value, row.status) for row in section.rows] == [
        ("Haemoglobin", "9.0", ""),
        ("Virus", "<149", "preliminary"),
        ("Blood group", "A positive [A]", "corrected"),
        ("Position", "12 \N{EN DASH} 14", ""),
        ("Next", "01-Apr-2026", ""),
        ("Sodium", "", "not obtained"),
        ("Image", "https://images.example/1 image JPEG", ""),
        ("Comment", "two\nlines", ""),
    ]
    first, second = section.rows[:2]
    assert (first.unit, first.range, first.flag) == ("g/dL", "12-16", "critically low, abnormal")
    assert (first.notes, first.time, second.time) == (("Repeated",), "", "202603011200")
    assert found.other == (
        "Relevant clinical information: fasting",
        "Document elsewhere: https://images.example/1^^image^JPEG",
        "of the specimen, Volume: 4 mL",
        "Allergy: none known",
    )
    assert (one.specimen, [number.value for number in one.filler_numbers]) == (
        "Blood",
        ["R-102", "S-2"],
    )


def test_observations_without_a_request_belong_to_the_order() -> None:
    found = report("oru_lenient")
    assert found.number is not None
    assert found.number.value == "R-103"
    (section,) = rendered(found).sections
    assert section.lines == ("first line", "second line")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ((("~P100^", "~9990000026^^^NHS^NH~P100^"),), [("patient-id", "PID^1^3^2")]),
        ((("9990000018^^^NHS^NH~P100^^^HOSP&2.999.1.1&ISO^MR", ""),), [("patient-id", "PID^1^3")]),
        (
            (("9990000018", "9990000019"), ("HOSP&2.999.1.1&ISO", "HOSP")),
            [("patient-id", "PID^1^3"), ("patient-id", "PID^1^3^2")],
        ),
        ((("PID|", "ZPI|"),), [("segment", "PID^1")]),
        ((("PV1|", "DSC|"),), [("unreadable", "DSC^1^1")]),
        ((("OBR|", "ZBR|"), ("OBX|", "ZBX|")), [("segment", "OBR^1")]),
        ((("R01^ORU_R01", "R03"),), [("event", "MSH^1^9^1^2")]),
        ((("|P|2.5.1", "|T|3.0"),), [("version", "MSH^1^12"), ("processing", "MSH^1^11")]),
        (
            (("JVBERi0xLjQ", "JVBERi0xL.."), ("PID|", "ZPI|")),
            [
                ("segment", "PID^1"),
                ("corrupt", "OBX^1^5"),
            ],
        ),
        ((("JVBERi0xLjQ", "\nJVBERi0xLjQ"),), [("unreadable", "OBX^1^5")]),
    ],
)
def test_all_that_is_wrong_is_told(
    changes: tuple[tuple[str, str], ...], expected: list[tuple[str, str]]
) -> None:
    assert refusal("oru_pdf", *changes) == expected


def test_an_identifier_that_fails_is_a_warning_beside_one_that_holds() -> None:
    found = content("oru_pdf", ("9990000018", "9990000019"))
    assert found.patient is not None
    assert [one.value for one in found.patient.identifiers] == ["P100"]
    assert [(one.verdict.name, one.location) for one in found.findings] == [
        ("patient-id", "PID^1^3")
    ]


@shows(*(f"CARD-7 T{number:02}" for number in range(1, 12)))
@pytest.mark.parametrize(
    ("trigger", "change", "action"),
    [
        ("T01", ("TXA|", "TXA|"), "announce"),
        ("T02", ("TXA|", "TXA|"), "file"),
        ("T02", ("|AV|", "|CA|"), "cancel"),
        ("T03", ("TXA|", "TXA|"), "status"),
        ("T05", ("TXA|", "TXA|"), "announce"),
        ("T06", ("TXA|", "TXA|"), "append"),
        ("T06", ("|D-0^HOSP|", "||"), "file"),
        ("T07", ("TXA|", "TXA|"), "edited"),
        ("T08", ("TXA|", "TXA|"), "file"),
        ("T09", ("TXA|", "TXA|"), "replaced"),
        ("T10", ("TXA|", "TXA|"), "replace"),
        ("T10", ("|D-0^HOSP|", "|D-1^HOSP|"), "file"),
        ("T11", ("TXA|", "TXA|"), "cancel"),
    ],
)
def test_a_trigger_event_is_an_action(trigger: str, change: tuple[str, str], action: str) -> None:
    found = report("mdm_t02", ("MDM^T02", f"MDM^{trigger}"), change)
    assert found.action == action
    assert (found.parent is None) == (trigger == "T01" or change[1] == "||")
    assert bool(found.documents) == (trigger in ("T02", "T06", "T08", "T10"))


def test_a_document_has_what_its_txa_says() -> None:
    found = report("mdm_t02")
    assert found.number is not None
    assert found.parent is not None
    assert (found.number.value, found.parent.value) == ("D-1", "D-0")
    assert found.type_code is not None
    assert found.confidentiality is not None
    assert (found.type_code.code, found.confidentiality.code) == ("18842-5", "R")
    assert (found.title, found.created, found.version_time) == (
        "Leaving hospital",
        "202603010800",
        "202603010830",
    )
    assert found.authenticator is not None
    assert (found.authenticator.family, found.authenticator.time) == ("Roe", "202603010840")
    assert found.studies == ("2.999.7.1",)
    assert [carried(one) for one in found.documents] == [PDF]
    assert refusal("mdm_t02", ("TXA|", "ZXA|")) == [("segment", "TXA^1")]


def test_a_flavour_may_know_the_charset_better_than_a_message(tmp_path: Path) -> None:
    (tmp_path / "labsys.toml").write_text(
        'charset = "8859/15"\n[[match]]\napplication = "LABSYS"\n'
    )
    data = (FIXTURES / "oru_pdf.hl7").read_bytes().replace(b"Testcase", b"Co\xbdter")
    found = read(Message.read(data), read_flavours(tmp_path))
    assert found.patient is not None
    assert found.patient.family == "Co\N{LATIN SMALL LIGATURE OE}ter"


@shows("LAB-1 O01", "LAB-1 O19", "LAB-1 O21")
def test_an_order_has_a_row_for_each_test_and_its_form() -> None:
    found = content("oml_form")
    assert [(one.control, one.test and one.test.code) for one in found.orders] == [
        ("NW", "R1"),
        ("NW", "R2"),
    ]
    assert [one.placer for one in found.orders] == 2 * [
        EntityNumber(value="ORD-8", authority="X9Z")
    ]
    ((form,), nothing) = (one.documents for one in found.orders)
    assert nothing == ()
    assert carried(form) == PDF
    assert form.type_code is not None
    assert form.type_code.code == "721965002"
