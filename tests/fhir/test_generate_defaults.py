"""The file of the option generate_defaults: what it gives, and how a mistake in it is told."""

from datetime import UTC
from pathlib import Path

import pytest

from tests.fhir.genomics import CDA, DEFAULTS, NHS_NUMBERS, edited
from xds import parsing
from xds.content import cda, defaults
from xds.content.defaults import MIME_TYPE_SUFFICIENT, Defaults, DefaultsError
from xds.content.document_metadata import DocumentMetadata, completed, missing
from xds.metadata.objects import Code

SHIPPED = defaults.read(None)
TYPE = Code("51969-4", "2.16.840.1.113883.6.1", "Genetic analysis report")
OF_TYPE = """
[types."51969-4^^2.16.840.1.113883.6.1".{}]
code = "of-type"
codingScheme = "2.999.9"
displayName = "Of the type"
"""
FORMAT = """
[[formats]]
code = "urn:example:genomics"
scheme = "2.999.9"
display = "Genomics"
templates = ["1.3.6.1.4.1.19376.1.3.3"]
"""


def read(tmp_path: Path, text: str) -> Defaults:
    folder = tmp_path / str(len(list(tmp_path.iterdir())))  # a file is read once
    folder.mkdir()
    file = folder / "defaults.toml"
    file.write_text(text, "utf-8")
    return defaults.read(file)


def test_without_a_file_only_formats_are_known() -> None:
    found = defaults.read(None)
    assert (found.codes, found.language_code, found.time_zone) == ({}, None, UTC)
    assert len(found.formats) > 20


def test_codes_language_and_zone(tmp_path: Path) -> None:
    found = read(tmp_path, 'languageCode = "en-GB"\ntimeZone = "Europe/London"\n' + DEFAULTS)
    assert found.language_code == "en-GB"
    assert str(found.time_zone) == "Europe/London"
    assert found.codes["class_code"].display_name == "Laboratory studies (set)"
    assert set(found.codes) == {
        "class_code",
        "healthcare_facility_type_code",
        "practice_setting_code",
    }


def test_formats_of_the_deployment_come_first(tmp_path: Path) -> None:
    found = read(tmp_path, FORMAT)
    declared = {"1.3.6.1.4.1.19376.1.3.3"}
    assert found.format_code(declared) == Code("urn:example:genomics", "2.999.9", "Genomics")
    assert str(defaults.read(None).format_code(declared)).startswith("urn:ihe:lab:xd-lab")


def test_codes_of_a_type_translate_those_of_the_document(tmp_path: Path) -> None:
    own = Code("own", "2.999.9", "Own")
    described = DocumentMetadata(values={"type_code": TYPE, "class_code": own}, places={})
    assert completed(described, read(tmp_path, DEFAULTS))["class_code"] == own
    found = completed(described, read(tmp_path, DEFAULTS + OF_TYPE.format("classCode")))
    assert found["class_code"].code == "of-type"
    other = DocumentMetadata(values={"class_code": own}, places={})
    found = completed(other, read(tmp_path, DEFAULTS + OF_TYPE.format("classCode")))
    assert found["class_code"] == own


def test_confidentiality_is_never_translated_but_may_be_given(tmp_path: Path) -> None:
    restricted = Code("R", "2.16.840.1.113883.5.25", "restricted")
    defaults = read(tmp_path, OF_TYPE.format("confidentialityCode"))
    says = DocumentMetadata(
        values={"type_code": TYPE, "confidentiality_code": (restricted,)}, places={}
    )
    assert completed(says, defaults)["confidentiality_code"] == (restricted,)
    silent = DocumentMetadata(values={"type_code": TYPE}, places={})
    assert [c.code for c in completed(silent, defaults)["confidentiality_code"]] == ["of-type"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("languageCode =", "Invalid value"),
        ('languageCode = "British English"', "not a language tag"),
        ('timeZone = "Europe/Exampleton"', "Europe/Exampleton is no time zone"),
        ('language = "en"', "unknown key language"),
        ("codes = 1", "codes is not a table"),
        (OF_TYPE.format("formatCode"), "unknown key formatCode"),
        ('[codes.classCode]\ncode = "1"\ncodingScheme = "2"', "displayName is required"),
        ('[codes.classCode]\ncode = 1\ncodingScheme = "2"\ndisplayName = "x"', "code is required"),
        ('[[formats]]\ncode = "x"', "formats[0]: display is required"),
        ('[[formats]]\nprofile = "x"', "unknown key profile"),
    ],
)
def test_a_mistake_in_the_file(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(DefaultsError) as error:
        read(tmp_path, text)
    assert told in str(error.value)
    assert str(error.value).startswith("defaults.toml: ")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DefaultsError):
        defaults.read(tmp_path / "absent.toml")


def test_what_a_document_does_not_say_is_asked_of_the_deployment() -> None:
    found = cda.describe(parsing.parse(CDA.encode()), SHIPPED, NHS_NUMBERS)
    lacking = list(missing(found, completed(found, SHIPPED)))
    assert [one.code for one in lacking] == ["required"] * 3
    told = " ".join(one.diagnostics for one in lacking)
    for name in ("classCode", "healthcareFacilityTypeCode", "practiceSettingCode"):
        assert f'codes.{name} or types."51969-4^^{TYPE.coding_scheme}".{name}' in told
    assert "generate_defaults" in told


# formatCode of CDA documents, by the shipped table


def formatted(*edits: tuple[str, str]) -> str:
    root = parsing.parse(edited(CDA, *edits).encode())
    found = completed(cda.describe(root, SHIPPED, None), SHIPPED)["format_code"]
    assert isinstance(found, Code)
    return str(found)


IHE = "1.3.6.1.4.1.19376.1.2.3"
_TEMPLATE = '<templateId root="2.999.8.1" extension="2026-01"/>'
_CCDA = "2.16.840.1.113883.10.20.22.1.1"


@pytest.mark.parametrize(
    ("template", "code"),
    [
        ('root="1.3.6.1.4.1.19376.1.3.3"', "urn:ihe:lab:xd-lab:2008"),
        ('root="1.3.6.1.4.1.19376.1.5.3.1.1.4"', "urn:ihe:pcc:xds-ms:2007"),
        ('root="1.3.6.1.4.1.19376.1.5.3.1.1.5"', "urn:ihe:pcc:xphr:2007"),
        ('root="1.3.6.1.4.1.19376.1.5.3.1.1.7.1"', "urn:ihe:iti:bppc-sd:2007"),
        (f'root="{_CCDA}" extension="2015-08-01"', "urn:hl7-org:sdwg:ccda-structuredBody:2.1"),
        (f'root="{_CCDA}"', "urn:hl7-org:sdwg:ccda-structuredBody:1.1"),
        ('root="2.999.8.2"', MIME_TYPE_SUFFICIENT.code),
    ],
)
def test_format_code_by_template(template: str, code: str) -> None:
    assert formatted((_TEMPLATE, f"<templateId {template}/>")) == f"{code}^^{IHE}"


@pytest.mark.parametrize(
    ("template", "media_type", "code"),
    [
        ("1.3.6.1.4.1.19376.1.2.20", "application/pdf", "urn:ihe:iti:xds-sd:pdf:2008"),
        ("1.3.6.1.4.1.19376.1.2.20", "text/plain", "urn:ihe:iti:xds-sd:text:2008"),
        ("1.3.6.1.4.1.19376.1.2.20", "image/tiff", MIME_TYPE_SUFFICIENT.code),
        (_CCDA, "application/pdf", "urn:hl7-org:sdwg:ccda-nonXMLBody:1.1"),
    ],
)
def test_format_code_by_template_and_body(template: str, media_type: str, code: str) -> None:
    start = CDA.index("<structuredBody>")
    end = CDA.index("</structuredBody>") + len("</structuredBody>")
    body = (
        f'<nonXMLBody><text mediaType="{media_type}" representation="B64">AA==</text></nonXMLBody>'
    )
    found = formatted((CDA[start:end], body), (_TEMPLATE, f'<templateId root="{template}"/>'))
    assert found == f"{code}^^{IHE}"
