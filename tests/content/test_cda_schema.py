"""A CDA that does not follow the schema of a deployment has findings, and is never refused."""

from pathlib import Path
from typing import Final

import pytest
from click.testing import CliRunner

from tests.content.samples import SAMPLES, path, rows
from tests.reference import REFERENCE, needs
from xds.__main__ import main
from xds.content.reading.cda_schema import CdaSchema, SchemaUnreadable
from xds.content.reading.model import ContentFinding
from xds.content.reading.reader import read
from xds.content.reading.rules import ReadingRules

REPORT: Final = (Path(__file__).parents[2] / "fixtures/documents/lab_report.xml").read_bytes()
OFFICIAL: Final = REFERENCE / "cda-xsd" / "CDA_extended.xsd"

SCHEMA: Final = """<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema"
    targetNamespace="urn:hl7-org:v3" xmlns="urn:hl7-org:v3" elementFormDefault="qualified">
  <xs:element name="ClinicalDocument"><xs:complexType><xs:sequence>
    <xs:element name="versionNumber"><xs:complexType>
      <xs:attribute name="value" type="xs:integer"/>
    </xs:complexType></xs:element>
  </xs:sequence></xs:complexType></xs:element>
</xs:schema>"""


@pytest.fixture
def schema(tmp_path: Path) -> Path:
    file = tmp_path / "CDA.xsd"
    file.write_text(SCHEMA)
    return file


def findings(data: bytes, schema: Path) -> list[ContentFinding]:
    found = read(data, "text/xml", ReadingRules(cda_schema=CdaSchema(schema)))
    return [one for one in found.findings if one.code == "schema-invalid"]


def cda(content: str) -> bytes:
    return f'<ClinicalDocument xmlns="urn:hl7-org:v3">\n{content}</ClinicalDocument>'.encode()


def test_what_follows_the_schema_has_no_finding(schema: Path) -> None:
    assert findings(cda('<versionNumber value="2"/>'), schema) == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('<title value="Quill"/>', "The element title is not expected there, or lacks an element"),
        ('<versionNumber value="Quill"/>', "The element versionNumber has a value that is not"),
        ('<versionNumber Quill="1"/>', "The element versionNumber has a content that is not right"),
    ],
)
def test_a_finding_says_where_and_never_what(schema: Path, content: str, message: str) -> None:
    first, *_ = findings(cda(content), schema)
    assert first.message.startswith(message)
    assert first.place == "line 2"
    assert "Quill" not in first.message


def test_a_document_within_a_style_sheet_is_compared_as_well(schema: Path) -> None:
    sheet = b'<x:stylesheet xmlns:x="http://www.w3.org/1999/XSL/Transform">%b</x:stylesheet>'
    assert findings(sheet % cda('<versionNumber value="2"/>'), schema) == []
    assert findings(sheet % cda("<title/>"), schema)


def test_without_a_schema_nothing_is_said() -> None:
    assert "schema-invalid" not in [one.code for one in read(cda("<title/>")).findings]


def test_a_file_that_is_no_schema_is_told(tmp_path: Path, schema: Path) -> None:
    (tmp_path / "not.xsd").write_text("<a/>")
    with pytest.raises(SchemaUnreadable):
        CdaSchema(tmp_path / "not.xsd")
    with pytest.raises(SchemaUnreadable):
        CdaSchema(tmp_path / "absent.xsd")
    for name, code in (("CDA.xsd", 0), ("not.xsd", 2)):
        done = CliRunner().invoke(main, ["config", "--cda-schema", str(tmp_path / name)])
        assert (done.exit_code != 0) == (code != 0), done.output


@needs(OFFICIAL)
def test_our_report_follows_the_official_schema() -> None:
    assert findings(REPORT, OFFICIAL) == []


@needs(OFFICIAL)
@needs(SAMPLES)
def test_real_documents_follow_it_but_for_one() -> None:
    schema = CdaSchema(OFFICIAL)
    rules = ReadingRules(cda_schema=schema)
    invalid = set()
    for row in rows("expected.tsv"):
        if row["kind"] == "CDA":
            found = read(path(row).read_bytes(), "text/xml", rules)
            if any(one.code == "schema-invalid" for one in found.findings):
                invalid.add(row["file"])
    assert invalid == {"ccda-nextgen-newman-ccd.xml"}
