"""The header of a CDA document as metadata: one good document, and a change for every rule."""

import copy
from collections.abc import Iterator
from datetime import UTC
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from lxml import etree

from tests.fhir.genomics import CDA, NHS_NUMBERS, edited
from xds import parsing
from xds.content import cda, cda_values, defaults
from xds.content.document_metadata import DocumentMetadata, completed, missing
from xds.fhir.r4.outcome import Issue
from xds.metadata import vocabulary as v
from xds.metadata.objects import Author, Code

SHIPPED = defaults.read(None)
LOINC, SNOMED = "2.16.840.1.113883.6.1", "2.16.840.1.113883.6.96"
ROLE = "/ClinicalDocument/recordTarget/patientRole"


def described(*edits: tuple[str, str], authority: str | None = NHS_NUMBERS) -> DocumentMetadata:
    return cda.describe(parsing.parse(edited(CDA, *edits).encode()), SHIPPED, authority)


def values(*edits: tuple[str, str], authority: str | None = NHS_NUMBERS) -> dict[str, Any]:
    found = described(*edits, authority=authority)
    assert found.issues == ()
    return dict(found.values)


def issue(*edits: tuple[str, str], authority: str | None = NHS_NUMBERS) -> Issue:
    (found,) = described(*edits, authority=authority).issues
    return found


# Everything


def test_every_attribute_of_the_header() -> None:
    hub = "Example Genomic Laboratory Hub^^^^^&2.16.840.1.113883.2.1.3.2.4.19.1&ISO^^^^X9Z01"
    assert values() == {
        "unique_id": "2.999.3.1^GLH-2026-118802",
        "title": "Genomic laboratory report: hereditary breast and ovarian cancer (R208)",
        "type_code": Code("51969-4", LOINC, "Genetic analysis report"),
        "confidentiality_code": (Code("N", "2.16.840.1.113883.5.25", "normal"),),
        "language_code": "en-GB",
        "creation_time": "20260504151207",
        "author": (
            Author(
                person=("555012345678^Marsh^Imran^^^Dr^FRCPath^^&1.2.826.0.1285.0.2.0.65&ISO",),
                institution=(hub,),
                role=("LABSPEC^^^&2.999.9.2&ISO",),
                specialty=(f"394580004^^^&{SNOMED}&ISO",),
                telecommunication=(
                    "^WPN^PH^^^^+441632960555",
                    "^NET^Internet^i.marsh@glh.example",
                ),
            ),
            Author(person=("PIPE-7^Germline variant caller 7.2^^^^^^^&2.999.1.8&ISO",)),
        ),
        "legal_authenticator": (
            "555087654321^Thorne^Gwen^Ada^^Professor^^^&1.2.826.0.1285.0.2.0.65&ISO"
        ),
        "patient_id": f"9990000018^^^&{NHS_NUMBERS}&ISO",
        "source_patient_id": "MRN-40127^^^&2.999.1.2&ISO",
        "source_patient_info": (
            "PID-3|MRN-40127^^^&2.999.1.2&ISO",
            f"PID-3|9990000018^^^&{NHS_NUMBERS}&ISO",
            "PID-5|Sample-Wren^Olive^Mary^^Mrs^^L",
            "PID-7|19710823",
            "PID-8|F",
            "PID-11|Flat 2^17 Orchard Row^Exampleton^^EX3 9TT^GB^H",
            "PID-13|^^CP^^^^+447700900123",
        ),
        "service_start_time": "20260413092500",
        "service_stop_time": "20260430",
        "event_code_list": (Code("405825005", SNOMED, "Molecular genetic test"),),
        "reference_id_list": (
            "ORD-77031^^^&2.999.1.5&ISO^urn:ihe:iti:xds:2013:order",
            "ENC-61220^^^&2.999.1.4&ISO^urn:ihe:iti:xds:2015:encounterId",
        ),
        "mime_type": "text/xml",
    }


def test_the_other_report_of_the_fixtures() -> None:
    content = (Path(__file__).parents[2] / "fixtures" / "documents" / "report.xml").read_bytes()
    found = cda.describe(parsing.parse(content), SHIPPED, "2.999.1.1")
    assert found.issues == ()
    assert found.values["patient_id"] == "EXAMPLE-1^^^&2.999.1.1&ISO"
    assert found.values["healthcare_facility_type_code"] == Code("22232009", SNOMED, "Hospital")


# uniqueId

_ID = '<id root="2.999.3.1" extension="GLH-2026-118802"/>'
_UUID = "0C3151BD-1CBF-4D64-B04D-CD9187A4C6E0"


@pytest.mark.parametrize(
    ("element", "unique_id"),
    [
        ('<id root="2.999.3.1.77"/>', "2.999.3.1.77"),
        (f'<id root="{_UUID}"/>', f"urn:uuid:{_UUID.lower()}"),
        (f'<id root="{_UUID}" extension="7"/>', f"{_UUID}^7"),
    ],
)
def test_unique_id(element: str, unique_id: str) -> None:
    assert values((_ID, element))["unique_id"] == unique_id


def test_an_id_that_is_no_instance_identifier() -> None:
    found = issue((_ID, '<id root="report" extension="1"/>'))
    assert found.expression == ("/ClinicalDocument/id/@root",)
    assert "GLH" not in found.diagnostics


@pytest.mark.parametrize("element", ["", '<id nullFlavor="NI"/>', '<id extension="1"/>'])
def test_a_document_without_id(element: str) -> None:
    found = described((_ID, element))
    assert "unique_id" not in found.values
    lacking = missing(found, completed(found, SHIPPED))
    assert ("/ClinicalDocument/id",) in [one.expression for one in lacking]


# Times


@pytest.mark.parametrize(
    ("time", "dtm"),
    [
        ("2026", "2026"),
        ("202605", "202605"),
        ("20260504", "20260504"),
        ("20260504+0100", "20260504"),
        ("2026050416+0100", "2026050415"),
        ("2026050416+0530", "202605041030"),
        ("202605041612-0500", "202605042112"),
        ("20260504161207.9876+0100", "20260504151207"),
        ("20260101003000+0100", "20251231233000"),
        ("20260504161207Z"[:-1], "20260504161207"),
    ],
)
def test_times_are_said_in_utc(time: str, dtm: str) -> None:
    assert cda_values.dtm(time, UTC) == dtm


def test_a_time_without_zone_is_of_the_zone_of_the_deployment() -> None:
    london = ZoneInfo("Europe/London")
    assert cda_values.dtm("20260504161207", london) == "20260504151207"
    assert cda_values.dtm("20260104161207", london) == "20260104161207"


@pytest.mark.parametrize(
    "time", ["26", "20261304", "2026050425", "2026-05-04", "20260504161207+1", "0001010100+0100"]
)
def test_a_time_that_is_none(time: str) -> None:
    found = issue(
        ('effectiveTime value="20260504161207.250+0100"', f'effectiveTime value="{time}"')
    )
    assert found.expression == ("/ClinicalDocument/effectiveTime/@value",)
    assert (found.code, time in found.diagnostics) == ("value", False)


_PERIOD = """<effectiveTime>
        <low value="20260413102500+0100"/>
        <high value="20260430"/>
      </effectiveTime>"""


def test_service_times_of_several_acts_are_the_earliest_and_the_latest() -> None:
    event = "<documentationOf><serviceEvent><effectiveTime>{}</effectiveTime></serviceEvent>{}"
    earlier = event.format('<low value="202601"/><high value="20260502"/>', "</documentationOf>")
    found = values(("<documentationOf>", f"{earlier}<documentationOf>"))
    assert (found["service_start_time"], found["service_stop_time"]) == ("202601", "20260502")


def test_an_act_at_one_moment() -> None:
    found = values((_PERIOD, '<effectiveTime value="20260413"/>'))
    assert (found["service_start_time"], found["service_stop_time"]) == ("20260413", "20260413")


def test_an_act_that_goes_on() -> None:
    found = values(('<high value="20260430"/>', '<high nullFlavor="NI"/>'))
    assert "service_stop_time" not in found


def test_an_act_that_ends_before_it_begins_has_no_end() -> None:
    found = values(('<high value="20260430"/>', '<high value="20260412"/>'))
    assert found["service_start_time"] == "20260413092500"
    assert "service_stop_time" not in found


def test_the_place_of_a_wrong_service_time() -> None:
    other = "<documentationOf><serviceEvent/></documentationOf>"
    found = issue(
        ("<documentationOf>", f"{other}<documentationOf>"), ('"20260413102500+0100"', '"April"')
    )
    place = "/ClinicalDocument/documentationOf[2]/serviceEvent/effectiveTime/low/@value"
    assert found.expression == (place,)


# Codes

_CODE = """<code code="51969-4" codeSystem="2.16.840.1.113883.6.1" codeSystemName="LOINC"
        displayName="Genetic analysis report"/>"""


@pytest.mark.parametrize(
    ("element", "code"),
    [
        ('<code code="1" codeSystem="2.999"/>', Code("1", "2.999", "1")),
        (
            '<code code="1" codeSystem="2.999"><originalText>Some  report</originalText></code>',
            Code("1", "2.999", "Some report"),
        ),
        (
            '<code nullFlavor="OTH"><translation code="2" codeSystem="2.999" displayName="Two"/>'
            "</code>",
            Code("2", "2.999", "Two"),
        ),
    ],
)
def test_type_code(element: str, code: Code) -> None:
    assert values((_CODE, element))["type_code"] == code


def test_a_consent_adds_the_policy_that_the_document_is_under() -> None:
    consent = (
        "<authorization><consent>"
        '<templateId root="1.3.6.1.4.1.19376.1.5.3.1.2.5"/>'
        '<code code="research" codeSystem="2.999.9.3" displayName="Research"/>'
        "</consent></authorization>"
    )
    found = values(("<componentOf>", f"{consent}<componentOf>"))["confidentiality_code"]
    assert [str(code) for code in found] == ["N^^2.16.840.1.113883.5.25", "research^^2.999.9.3"]
    other = consent.replace("19376.1.5.3.1.2.5", "19376.1.5.3.1.2.6")
    found = values(("<componentOf>", f"{other}<componentOf>"))["confidentiality_code"]
    assert len(found) == 1


def test_a_language_that_is_none() -> None:
    found = issue(('languageCode code="en-GB"', 'languageCode code="British English"'))
    assert found.expression == ("/ClinicalDocument/languageCode/@code",)


# Persons, organisations

_MARSH = """<name>
          <prefix>Dr</prefix>
          <given>Imran</given>
          <family>Marsh</family>
          <suffix qualifier="AC">FRCPath</suffix>
        </name>"""


@pytest.mark.parametrize(
    ("name", "xcn"),
    [
        ("<name>Imran Marsh</name>", "^Imran Marsh^^^^"),
        (
            "<name><given>Imran</given><given>A</given><given>B</given><family>Marsh</family></name>",
            "^Marsh^Imran^A B^^",
        ),
        (
            "<name><family>van</family><family>Marsh</family><suffix>II</suffix></name>",
            "^van Marsh^^^II^",
        ),
        (
            '<name use="P"><family>A</family></name><name use="L"><family>Marsh</family></name>',
            "^Marsh^^^^",
        ),
        ('<name nullFlavor="MSK"/>', "^^^^^"),
        ("<name><family>O^Marsh</family></name>", "^O\\S\\Marsh^^^^"),
    ],
)
def test_names(name: str, xcn: str) -> None:
    author = values((_MARSH, name))["author"][0]
    assert author.person == (f"555012345678{xcn}^^^&1.2.826.0.1285.0.2.0.65&ISO",)


_AUTHOR_ID = '<id root="1.2.826.0.1285.0.2.0.65" extension="555012345678"/>'


@pytest.mark.parametrize(
    ("element", "person"),
    [
        ("", "^Marsh^Imran^^^Dr^FRCPath"),
        (f'<id root="{_UUID}"/>', "^Marsh^Imran^^^Dr^FRCPath"),
        (
            f'<id root="{_UUID}" extension="1"/>{_AUTHOR_ID}',
            "555012345678^Marsh^Imran^^^Dr^FRCPath^^&1.2.826.0.1285.0.2.0.65&ISO",
        ),
        ('<id root="2.999.4.1"/>', "2.999.4.1^Marsh^Imran^^^Dr^FRCPath"),
    ],
)
def test_the_id_of_an_author(element: str, person: str) -> None:
    assert values((_AUTHOR_ID, element))["author"][0].person == (person,)


def test_an_author_that_is_an_organisation_names_no_person() -> None:
    start, end = CDA.index("<assignedPerson>"), CDA.index("</assignedPerson>")
    person = CDA[start : end + len("</assignedPerson>")]
    author = values((person, ""))["author"][0]
    assert author.person == ()
    assert author.institution[0].startswith("Example Genomic Laboratory Hub")


def test_an_author_who_is_nobody_is_left_out() -> None:
    nobody = '<author><assignedAuthor nullFlavor="NI"/></author>'
    assert len(values(("<custodian>", f"{nobody}<custodian>"))["author"]) == 2


def test_an_organisation_without_name_goes_by_its_code() -> None:
    author = values(("<name>Example Genomic Laboratory Hub</name>", ""))["author"][0]
    assert author.institution == ("X9Z01^^^^^&2.16.840.1.113883.2.1.3.2.4.19.1&ISO^^^^X9Z01",)


@pytest.mark.parametrize(
    ("telecom", "xtn"),
    [
        ('value="tel:+44-1632-960000" use="HP"', "^PRN^PH^^^^+44-1632-960000"),
        ('value="fax:+441632960001" use="WP"', "^WPN^FX^^^^+441632960001"),
        ('value="01632 960002"', "^^PH^^^^01632 960002"),
        ('value="tel:+447700900555" use="MC"', "^^CP^^^^+447700900555"),
        ('value="mailto:a%40b.example"', "^NET^Internet^a@b.example"),
        ('value="https://glh.example/marsh"', "^NET^Internet^https://glh.example/marsh"),
    ],
)
def test_telecommunication(telecom: str, xtn: str) -> None:
    found = values(('<telecom use="WP" value="tel:+441632960555"/>', f"<telecom {telecom}/>"))
    assert found["author"][0].telecommunication[0] == xtn


@pytest.mark.parametrize("telecom", ['nullFlavor="UNK"', 'value="tel:"', 'value=""'])
def test_telecommunication_that_leads_nowhere_is_left_out(telecom: str) -> None:
    found = values(('<telecom use="WP" value="tel:+441632960555"/>', f"<telecom {telecom}/>"))
    assert found["author"][0].telecommunication == ("^NET^Internet^i.marsh@glh.example",)


def test_a_legal_authenticator_is_optional() -> None:
    found = values(("<legalAuthenticator>", '<legalAuthenticator nullFlavor="NI">'))
    assert "legal_authenticator" not in found


# The patient


def test_without_an_authority_several_ids_are_ambiguous() -> None:
    found = issue(authority=None)
    assert (found.code, found.expression) == ("multiple-matches", (f"{ROLE}/id",))
    assert f"urn:oid:2.999.1.2, urn:oid:{NHS_NUMBERS}" in found.diagnostics
    assert "MRN-40127" not in found.diagnostics


def test_without_an_authority_the_id_of_a_known_patient_counts() -> None:
    ours = f"9990000018^^^&{NHS_NUMBERS}&ISO"
    found = cda.describe(parsing.parse(CDA.encode()), SHIPPED, None, lambda _: {ours})
    assert found.values["patient_id"] == ours


def test_no_id_of_the_affinity_domain() -> None:
    found = issue(authority="2.999.1.1")
    assert (found.code, found.expression) == ("not-found", (f"{ROLE}/id",))
    assert "2.999.1.1" in found.diagnostics
    assert "9990000018" not in found.diagnostics


def test_a_source_that_knows_the_id_of_the_affinity_domain_only() -> None:
    found = values(('<id root="2.999.1.2" extension="MRN-40127"', '<id nullFlavor="NI"'))
    assert found["source_patient_id"] == found["patient_id"] == f"9990000018^^^&{NHS_NUMBERS}&ISO"


def test_an_unidentified_patient() -> None:
    found = described(
        ('<id root="2.999.1.2" extension="MRN-40127"', '<id nullFlavor="NI"'),
        (f'<id root="{NHS_NUMBERS}" extension="9990000018"', f'<id root="{NHS_NUMBERS}"'),
    )
    assert found.issues == ()
    lacking = [one.expression for one in missing(found, completed(found, SHIPPED))]
    assert lacking.count((f"{ROLE}/id",)) == 2  # patientId and sourcePatientId


def test_a_document_of_several_patients() -> None:
    found = issue(
        (
            "<author>\n    <functionCode",
            "<recordTarget><patientRole/></recordTarget><author>\n    <functionCode",
        )
    )
    assert (found.code, found.expression) == ("business-rule", ("/ClinicalDocument/recordTarget",))


@pytest.mark.parametrize(
    ("element", "pid"),
    [
        (
            "<addr><houseNumber>17</houseNumber><streetName>Orchard Row</streetName></addr>",
            "PID-11|17 Orchard Row",
        ),
        ("<addr>17 Orchard Row, Exampleton</addr>", "PID-11|17 Orchard Row, Exampleton"),
        (
            "<addr><streetAddressLine>A &amp; B</streetAddressLine><state>X</state></addr>",
            "PID-11|A \\T\\ B^^^X",
        ),
        ('<addr nullFlavor="MSK"/>', None),
    ],
)
def test_addresses(element: str, pid: str | None) -> None:
    start, end = CDA.index('<addr use="HP">'), CDA.index("</addr>") + len("</addr>")
    found = values((CDA[start:end], element))["source_patient_info"]
    assert [one for one in found if one.startswith("PID-11")] == ([pid] if pid else [])


@pytest.mark.parametrize(
    ("attributes", "pid"),
    [('code="M"', "PID-8|M"), ('code="UN"', "PID-8|O"), ('nullFlavor="UNK"', "PID-8|U")],
)
def test_genders(attributes: str, pid: str) -> None:
    found = values(('administrativeGenderCode code="F"', f"administrativeGenderCode {attributes}"))
    assert pid in found["source_patient_info"]


def test_the_day_of_birth_is_not_moved_by_a_zone() -> None:
    found = values(('birthTime value="19710823"', 'birthTime value="197108230010+0100"'))
    assert "PID-7|19710823" in found["source_patient_info"]


def test_a_birth_time_that_is_none() -> None:
    found = issue(('birthTime value="19710823"', 'birthTime value="23.8.1971"'))
    assert found.expression == (f"{ROLE}/patient/birthTime/@value",)
    assert "1971" not in found.diagnostics


# Relations


@pytest.mark.parametrize(
    ("type_code", "association_type"), [("RPLC", v.RPLC), ("APND", v.APND), ("XFRM", v.XFRM)]
)
def test_related_documents(type_code: str, association_type: str) -> None:
    related = (
        f'<relatedDocument typeCode="{type_code}"><parentDocument>'
        '<id root="2.999.3.1" extension="GLH-2026-000001"/></parentDocument></relatedDocument>'
    )
    (found,) = described(("<componentOf>", f"{related}<componentOf>")).stated.related
    assert found.association_type == association_type
    assert found.unique_ids == ("2.999.3.1^GLH-2026-000001",)


# What is not there


def test_what_cannot_be_read_is_not_said_to_be_missing_as_well() -> None:
    found = described(('effectiveTime value="20260504161207.250+0100"', 'effectiveTime value="x"'))
    lacking = missing(found, completed(found, SHIPPED))
    assert "creationTime" not in " ".join(one.diagnostics for one in lacking)


def test_every_problem_is_told_at_once() -> None:
    found = described(
        (_ID, '<id root="x"/>'), ('languageCode code="en-GB"', 'languageCode code="?"')
    )
    assert [one.expression[0] for one in found.issues] == [
        "/ClinicalDocument/id/@root",
        "/ClinicalDocument/languageCode/@code",
    ]


# Whatever else may come

_ODD = ("", " ", "x", "^~&|\\", "\n", "2.999", "20260504", "\u0414", "9" * 300)


def changes() -> Iterator[etree._Element]:
    """Yield the document with one thing changed in its header, each in its turn."""
    root = parsing.parse(CDA.encode())
    root.remove(root.find("{urn:hl7-org:v3}component"))
    for element in list(root.iter()):
        for name, value in list(element.items()):
            for odd in _ODD:
                element.set(name, odd)
                yield root
            element.set(name, value)
        element.set("nullFlavor", "NI")
        yield root
        del element.attrib["nullFlavor"]
        if (parent := element.getparent()) is not None:
            place = parent.index(element)
            parent.remove(element)
            yield root
            parent.insert(place, element)
            parent.insert(place, copy.deepcopy(element))
            yield root
            parent.remove(element.getprevious())


def test_a_header_is_described_whatever_stands_in_it() -> None:
    good = cda.describe(parsing.parse(CDA.encode()), SHIPPED, NHS_NUMBERS).values
    tried = 0
    for root in changes():
        tried += 1
        found = cda.describe(root, SHIPPED, NHS_NUMBERS)
        told = [one.diagnostics for one in found.issues]
        assert not any("9990000018" in one or "9" * 300 in one for one in told)
    assert tried > 500
    assert cda.describe(root, SHIPPED, NHS_NUMBERS).values == good
