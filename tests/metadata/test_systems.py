"""The names of code systems and identifier systems, and what is refused of their table."""

from pathlib import Path

import pytest

from xds.metadata.systems import System, Systems, SystemsError

NHS_NUMBER = "2.16.840.1.113883.2.1.4.1"
NHS_NUMBER_URI = "https://fhir.nhs.uk/Id/nhs-number"
SNOMED_CT = "2.16.840.1.113883.6.96"
SNOMED_CT_UK = "2.16.840.1.113883.2.1.3.2.4.15"
FORMATS = "1.3.6.1.4.1.19376.1.2.3"
FORMATS_URI = "http://ihe.net/fhir/ihe.formatcode.fhir/CodeSystem/formatcode"
OLD_FORMATS_URI = "http://ihe.net/fhir/ValueSet/IHE.FormatCode.codesystem"
SYSTEMS = Systems.read()


@pytest.mark.parametrize(
    ("oid", "uri"),
    [
        (NHS_NUMBER, NHS_NUMBER_URI),
        ("2.16.840.1.113883.2.1.3.2.4.19.1", "https://fhir.nhs.uk/Id/ods-organization-code"),
        (SNOMED_CT, "http://snomed.info/sct"),
        ("2.16.840.1.113883.6.1", "http://loinc.org"),
        ("2.16.840.1.113883.6.8", "http://unitsofmeasure.org"),
        (FORMATS, FORMATS_URI),
        ("2.16.840.1.113883.5.25", "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"),
        ("2.16.840.1.113883.18.108", "http://terminology.hl7.org/CodeSystem/v2-0203"),
    ],
)
def test_known_systems_are_known_both_ways(oid: str, uri: str) -> None:
    assert SYSTEMS.uri(oid) == SYSTEMS.uri(f"urn:oid:{oid}") == uri
    assert SYSTEMS.scheme(uri) == SYSTEMS.scheme(f"urn:oid:{oid}") == oid
    assert SYSTEMS.authority(uri) == oid


@pytest.mark.parametrize(
    ("name", "scheme"),
    [
        ("http://snomed.info/sct", SNOMED_CT),
        (f"urn:oid:{SNOMED_CT}", SNOMED_CT),
        (SNOMED_CT_UK, SNOMED_CT),
        ("urn:oid:2.999.7", "2.999.7"),
        ("https://dmd.nhs.uk/", "https://dmd.nhs.uk"),
        ("http://example.org/codes", "http://example.org/codes"),
        ("urn:oid:none", "urn:oid:none"),
        ("", ""),
    ],
)
def test_a_system_has_one_canonical_scheme(name: str, scheme: str) -> None:
    assert SYSTEMS.canonical(name) == scheme


def test_what_is_not_known_is_carried_as_urn_oid_and_comes_back() -> None:
    assert SYSTEMS.uri("2.999.7") == "urn:oid:2.999.7"
    assert SYSTEMS.scheme("urn:oid:2.999.7") == "2.999.7"
    assert SYSTEMS.authority("urn:oid:2.999.7") == "2.999.7"


@pytest.mark.parametrize("scheme", ["http://example.org/codes", "Local", "urn:oid:none"])
def test_a_scheme_that_is_no_oid_comes_unchanged(scheme: str) -> None:
    assert SYSTEMS.uri(scheme) == scheme
    assert SYSTEMS.scheme(scheme) == scheme
    assert SYSTEMS.authority(scheme) is None


def test_a_scheme_with_white_space_becomes_a_uri_that_finds_it() -> None:
    assert SYSTEMS.uri("Connect-a-thon codes") == "Connect-a-thon%20codes"
    assert "Connect-a-thon codes" in SYSTEMS.schemes("Connect-a-thon%20codes")


def test_aliases_are_read_and_never_written() -> None:
    assert SYSTEMS.scheme(OLD_FORMATS_URI) == FORMATS
    assert SYSTEMS.uri(OLD_FORMATS_URI) == FORMATS_URI
    assert SYSTEMS.uri(SNOMED_CT_UK) == "http://snomed.info/sct"
    assert SYSTEMS.authority(f"urn:oid:{SNOMED_CT_UK}") == SNOMED_CT_UK, "an OID says itself"


def test_schemes_are_all_that_stored_codes_may_bear() -> None:
    found = SYSTEMS.schemes("http://snomed.info/sct")
    assert {SNOMED_CT, SNOMED_CT_UK, f"urn:oid:{SNOMED_CT}", "http://snomed.info/sct"} <= {*found}
    assert SYSTEMS.schemes(f"urn:oid:{SNOMED_CT}") == found
    assert SYSTEMS.schemes(OLD_FORMATS_URI) == SYSTEMS.schemes(FORMATS_URI)
    assert SYSTEMS.schemes("urn:oid:2.999.7") == ("2.999.7", "urn:oid:2.999.7")
    assert SYSTEMS.schemes("Local") == ("Local",)


def test_every_row_leads_back_to_itself() -> None:
    for row in SYSTEMS.rows:
        assert SYSTEMS.scheme(SYSTEMS.uri(row.scheme)) == row.scheme, row.name


def test_namespaces_of_hl7_v2() -> None:
    assert SYSTEMS.oid_of_namespace("NHS") == NHS_NUMBER
    assert SYSTEMS.namespace(NHS_NUMBER) == "NHS"
    assert SYSTEMS.oid_of_namespace("nobody's") is None
    assert SYSTEMS.namespace("2.999.7") is None


def written(tmp_path: Path, content: str) -> Path:
    path = tmp_path / "systems.toml"
    path.write_text(content)
    return path


def test_a_deployment_adds_systems_of_its_own(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        """
        hospitals = [
          { name = "MRN", oid = "2.999.1.2", uri = "http://example.org/mrn", namespace = "HILL" },
          { oid = "2.999.1.3", namespace = "BAY" },
          { uri = "http://example.org/codes", aliases = ["Codes:of-the-house"] },
        ]
        """,
    )
    systems = Systems.read(path)
    assert systems.scheme("http://example.org/mrn") == "2.999.1.2"
    assert systems.oid_of_namespace("BAY") == "2.999.1.3"
    assert systems.uri("2.999.1.3") == "urn:oid:2.999.1.3"
    assert systems.scheme("Codes:of-the-house") == "http://example.org/codes"
    assert systems.uri(NHS_NUMBER) == NHS_NUMBER_URI


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (f'a = [{{ oid = "{NHS_NUMBER}", uri = "http://example.org/x" }}]', f"{NHS_NUMBER} stands"),
        (f'a = [{{ oid = "2.999.1", uri = "{NHS_NUMBER_URI}" }}]', f"{NHS_NUMBER_URI} stands"),
        (f'a = [{{ oid = "2.999.1", aliases = ["{SNOMED_CT}"] }}]', f"{SNOMED_CT} stands"),
        ('a = [{ oid = "2.999.1", namespace = "NHS" }]', "namespace NHS stands"),
        ('a = [{ oid = "2.999.01" }]', "2.999.01 is not an OID"),
        ('a = [{ oid = "2.999.1", uri = "no uri" }]', "no uri is not a URI"),
        ('a = [{ oid = "2.999.1", uri = "urn:oid:2.999.1" }]', "without urn:oid:"),
        (
            'a = [{ uri = "http://example.org/x", namespace = "X" }]',
            "a namespace stands for an oid",
        ),
        ('a = [{ name = "nothing" }]', "needs an oid or a uri"),
        ('a = [{ oid = "2.999.1", url = "http://example.org/x" }]', "unknown key url"),
        ("a = [{ oid = 2 }]", "no text"),
        ('a = [{ oid = "2.999.1", aliases = "x" }]', "no text"),
        ('a = "text"', "a is no array of systems"),
        ("a = [", "systems.toml: "),
    ],
)
def test_a_wrong_file_is_refused_with_its_place(tmp_path: Path, content: str, reason: str) -> None:
    with pytest.raises(SystemsError, match=r".") as caught:
        Systems.read(written(tmp_path, content))
    assert reason in str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SystemsError, match=r"none\.toml: No such file"):
        Systems.read(tmp_path / "none.toml")


def test_a_name_that_stands_twice_names_both_systems() -> None:
    rows = [System(name="one", oid="2.999.1"), System(name="other", oid="2.999.1")]
    with pytest.raises(SystemsError, match=r"the OID or URI 2\.999\.1 stands for one and other"):
        Systems.of(rows)
