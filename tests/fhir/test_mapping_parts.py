"""The plain FHIR forms of XDS data types, and what FHIR clients write that comes in other forms."""

import pytest

from tests.fhir.mapped import PATIENT, SYSTEMS
from xds.fhir import vocabulary as f
from xds.fhir.datatypes import identifiers, times
from xds.fhir.datatypes.codes import coded_concept, coding, read_coded_concept, read_coding
from xds.fhir.datatypes.demographics import patient, read_patient
from xds.fhir.datatypes.exact import kept
from xds.fhir.datatypes.people import organization, person, read_organization, read_person
from xds.fhir.datatypes.telecoms import contact_point, read_contact_point
from xds.fhir.r4.resource import Resource
from xds.metadata.objects import Code

NHS = "https://fhir.nhs.uk/Id/nhs-number"
RFC = "urn:ietf:rfc:3986"


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        (
            "77^Ruiz^Elena^María José^MBE^Dr^PhD^^&2.999.1.6&ISO",
            {
                "identifier": [{"system": "urn:oid:2.999.1.6", "value": "77"}],
                "name": [
                    {
                        "family": "Ruiz",
                        "given": ["Elena", "María", "José"],
                        "prefix": ["Dr"],
                        "suffix": ["MBE"],
                    }
                ],
                "qualification": [{"code": {"text": "PhD"}}],
            },
        ),
        ("^O\\T\\Hara", {"name": [{"family": "O&Hara"}]}),
        ("2.999.9", {"identifier": [{"system": RFC, "value": "urn:oid:2.999.9"}]}),
        ("77", {"identifier": [{"value": "77"}]}),
        (
            "C1^^^^^^^^&2.16.840.1.113883.2.1.3.2.4.16.63&ISO",
            {"identifier": [{"system": "https://fhir.hl7.org.uk/Id/gmc-number", "value": "C1"}]},
        ),
    ],
)
def test_person(text: str, plain: Resource) -> None:
    assert person(text, SYSTEMS) == plain
    assert read_person(plain, SYSTEMS) == text


@pytest.mark.parametrize(
    ("resource", "text"),
    [
        ({"resourceType": "Practitioner", "name": [{"text": "Elena Ruiz"}]}, "^Elena Ruiz"),
        (
            {
                "resourceType": "Practitioner",
                "identifier": [
                    {"system": "http://example.org/staff", "value": "1"},
                    {"value": "2"},
                    {"system": "urn:oid:2.999.1.6", "value": "3"},
                ],
            },
            "3^^^^^^^^&2.999.1.6&ISO",
        ),
        (
            {
                "resourceType": "Patient",
                "name": [{"use": "nickname", "family": "N"}, {"use": "official", "family": "O"}],
            },
            "^O",
        ),
        ({"resourceType": "Practitioner", "name": [{"given": [None, "Lena"]}], "id": "x"}, None),
        (
            {
                "resourceType": "Device",
                "identifier": [{"system": "urn:oid:2.999.6", "value": "7"}],
                "deviceName": [{"name": "Analyser", "type": "model-name"}],
            },
            "7^Analyser^^^^^^^&2.999.6&ISO",
        ),
        ({"resourceType": "Practitioner", "telecom": [{"system": "email", "value": "a@b"}]}, None),
    ],
)
def test_person_as_others_write_it(resource: Resource, text: str | None) -> None:
    assert read_person(resource, SYSTEMS) == text


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("Lighthouse Practice", {"name": "Lighthouse Practice"}),
        (
            "Harbour Hospital^^^^^^^^^2.999.1.7",
            {
                "identifier": [{"system": RFC, "value": "urn:oid:2.999.1.7"}],
                "name": "Harbour Hospital",
            },
        ),
        (
            "Cardiology^^^^^&2.16.840.1.113883.2.1.3.2.4.19.1&ISO^^^^RX1",
            {
                "identifier": [
                    {"system": "https://fhir.nhs.uk/Id/ods-organization-code", "value": "RX1"}
                ],
                "name": "Cardiology",
            },
        ),
    ],
)
def test_organization(text: str, plain: Resource) -> None:
    assert organization(text, SYSTEMS) == plain
    assert read_organization(plain, SYSTEMS) == text


@pytest.mark.parametrize(
    ("resource", "text"),
    [
        (
            {"identifier": [{"system": "urn:oid:2.999.1.7", "value": "W3"}]},
            "W3^^^^^&2.999.1.7&ISO^^^^W3",
        ),
        ({"name": "A", "identifier": [{"system": "http://example.org/o", "value": "1"}]}, "A"),
        ({"name": "A", "identifier": [{"value": "1"}]}, "A"),
        ({}, None),
    ],
)
def test_organization_as_others_write_it(resource: Resource, text: str | None) -> None:
    assert read_organization(resource, SYSTEMS) == text


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("^NET^Internet^ruiz@example.org", {"system": "email", "value": "ruiz@example.org"}),
        ("^NET^Internet^https://example.org", {"system": "url", "value": "https://example.org"}),
        (
            "^WPN^PH^^41^31^5550100^12",
            {"system": "phone", "value": "+41 31 5550100 x12", "use": "work"},
        ),
        ("^PRN^PH^^^^5550100", {"system": "phone", "value": "5550100", "use": "home"}),
        ("^^CP^^^^079 5550100", {"system": "phone", "value": "079 5550100", "use": "mobile"}),
        ("^^FX^^^^5550101", {"system": "fax", "value": "5550101"}),
        ("^^BP^^^^7", {"system": "pager", "value": "7"}),
    ],
)
def test_telecommunication(text: str, plain: Resource) -> None:
    assert contact_point(text) == plain
    assert read_contact_point(plain) == text


@pytest.mark.parametrize(
    ("element", "text"),
    [
        ({"system": "sms", "value": "079", "use": "home"}, "^PRN^PH^^^^079"),
        ({"value": "a@example.org"}, "^NET^Internet^a@example.org"),
        ({"value": "079"}, "^^PH^^^^079"),
        ({"system": "phone"}, None),
        ({"system": "phone", "value": "a^b"}, "^^PH^^^^a\\S\\b"),
    ],
)
def test_telecommunication_as_others_write_it(element: Resource, text: str | None) -> None:
    assert read_contact_point(element) == text


@pytest.mark.parametrize(
    ("dtm", "plain", "is_exact"),
    [
        ("2026", "2026", True),
        ("202602", "2026-02", True),
        ("20260228", "2026-02-28", True),
        ("2026022823", "2026-02-28T23:00:00Z", False),
        ("202602282350", "2026-02-28T23:50:00Z", False),
        ("20260228235001", "2026-02-28T23:50:01Z", True),
    ],
)
def test_times(dtm: str, plain: str, is_exact: bool) -> None:
    element: Resource = {}
    times.write(element, "creation", dtm)
    assert element["creation"] == plain
    assert ("_creation" not in element) is is_exact
    assert times.read(element, "creation") == dtm


@pytest.mark.parametrize(
    ("text", "dtm"),
    [
        ("2020-12-31T23:50:50-05:00", "20210101045050"),
        ("2013-05-28T22:12:21.1882432+02:00", "20130528201221"),
        ("2016-12-31T23:59:60Z", "20161231235959"),
        ("2020-02-01T23:50Z", "202002012350"),
        ("2020-02-01T23:50:50", "20200201235050"),
    ],
)
def test_times_as_others_write_them(text: str, dtm: str) -> None:
    assert times.dtm(text) == dtm


@pytest.mark.parametrize(
    "text",
    ["", "20260228", "2026-13", "2026-02-30", "0001-01-01T00:00:00+14:00", "2026-02-28T24:00:00Z",
     "2026-02-28T23:50:50+99:00", "0000"],
)  # fmt: skip
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(ValueError, match="not a"):
        times.dtm(text)


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("1.2.3", {"system": RFC, "value": "urn:oid:1.2.3"}),
        (
            "urn:uuid:aaaaaaaa-0000-4000-8000-000000000001",
            {"system": RFC, "value": "urn:uuid:aaaaaaaa-0000-4000-8000-000000000001"},
        ),
        ("1.2.3^ext", {"system": "urn:oid:1.2.3", "value": "ext"}),
        ("https://example.org/d/1", {"system": RFC, "value": "https://example.org/d/1"}),
        ("Report 1", {"system": f.OWN_UNIQUE_IDS, "value": "Report 1"}),
    ],
)
def test_unique_id(text: str, plain: Resource) -> None:
    element = identifiers.unique_identifier(text, SYSTEMS)
    assert element["use"] == "usual"
    assert element["type"]["coding"] == [{"system": f.IDENTIFIER_TYPES, "code": "uniqueId"}]
    assert {name: element[name] for name in element.keys() - {"use", "type"}} == plain
    assert identifiers.unique_id_of(plain, SYSTEMS) == text


@pytest.mark.parametrize(
    ("element", "text"),
    [
        ({"value": "urn:oid:1.2.3"}, "1.2.3"),
        ({"value": "1.2.3"}, "1.2.3"),
        (
            {"system": RFC, "value": "urn:uuid:AAAAAAAA-0000-4000-8000-000000000001"},
            "urn:uuid:aaaaaaaa-0000-4000-8000-000000000001",
        ),
    ],
)
def test_unique_id_as_others_write_it(element: Resource, text: str) -> None:
    assert identifiers.unique_id_of(element, SYSTEMS) == text


def test_unique_id_of_a_system_without_an_oid_cannot_be_one() -> None:
    element = {"system": "http://example.org/documents", "value": "1"}
    with pytest.raises(ValueError, match="neither a URI nor"):
        identifiers.unique_id_of(element, SYSTEMS)


def test_unique_id_of_a_package_is_an_oid() -> None:
    uuid = {"system": RFC, "value": "urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6"}
    found = identifiers.package_unique_id(uuid, SYSTEMS)
    assert found == "2.25.329800735698586629295641978511506172918"
    with pytest.raises(ValueError, match="is an OID"):
        identifiers.package_unique_id({"system": "urn:oid:1.2", "value": "ext"}, SYSTEMS)


@pytest.mark.parametrize(
    ("element", "kind"),
    [
        ({"type": {"coding": [{"system": f.IDENTIFIER_TYPES, "code": "entryUUID"}]}}, "entryUUID"),
        (
            {
                "type": {"coding": [{"system": f.IDENTIFIER_TYPES, "code": "uniqueId"}]},
                "use": "official",
                "value": "urn:uuid:aaaaaaaa-0000-4000-8000-000000000001",
            },
            "uniqueId",
        ),
        ({"use": "official", "value": "urn:uuid:x"}, "entryUUID"),
        ({"use": "usual", "value": "urn:uuid:x"}, "uniqueId"),
        ({"value": "urn:uuid:x", "system": RFC}, "entryUUID"),
        ({"value": "urn:oid:1.2.3"}, "uniqueId"),
        ({"value": "7", "system": "http://example.org/accession"}, ""),
        ({"value": "7", "type": {"coding": [{"code": "ACSN"}]}}, ""),
    ],
)
def test_identifiers_are_told_by_type_then_use_then_value(element: Resource, kind: str) -> None:
    assert identifiers.kind_of(element)[0] == kind


def test_identifier_of_patient() -> None:
    of = identifiers.identifier_of_patient
    assert of({"system": NHS, "value": "943"}, SYSTEMS) == "943^^^&2.16.840.1.113883.2.1.4.1&ISO"
    assert of({"system": "urn:oid:2.999.1.1", "value": "P0001"}, SYSTEMS) == PATIENT
    assert of({"system": "urn:oid:2.999.1", "value": "a^b"}, SYSTEMS) == "a\\S\\b^^^&2.999.1&ISO"
    assert identifiers.patient_identifier("943^^^&2.16.840.1.113883.2.1.4.1&ISO", SYSTEMS) == {
        "system": NHS,
        "value": "943",
    }


@pytest.mark.parametrize(
    "element",
    [
        {"system": "http://example.org/patients", "value": "1"},
        {"system": NHS},
        {"value": "1"},
        {"system": RFC, "value": "urn:oid:1.2.3"},
        {"system": NHS, "value": "\n"},
    ],
)
def test_what_cannot_identify_a_patient(element: Resource) -> None:
    with pytest.raises(ValueError, match=r"identifier|CX"):
        identifiers.identifier_of_patient(element, SYSTEMS)


ACCESSION = "urn:ihe:iti:xds:2013:accession"
UNIQUE_ID = "urn:ihe:iti:xds:2013:uniqueId"


@pytest.mark.parametrize(
    ("text", "system", "value"),
    [
        (f"ACC-9^^^&2.999.1.5&ISO^{ACCESSION}", "urn:oid:2.999.1.5", "ACC-9"),
        (f"2.999.1.11^^^^{UNIQUE_ID}", RFC, "urn:oid:2.999.1.11"),
        (f"9^^^http://example.org/visits^{ACCESSION}", "http://example.org/visits", "9"),
        (f"A:1^^^^{ACCESSION}", None, "A:1"),
    ],
)
def test_reference_id(text: str, system: str | None, value: str) -> None:
    element = identifiers.reference_identifier(text, SYSTEMS)
    assert (element.get("system"), element["value"]) == (system, value)
    assert not kept(element)
    assert identifiers.reference_id(element, SYSTEMS, UNIQUE_ID) == text


@pytest.mark.parametrize(
    ("element", "text"),
    [
        ({"system": RFC, "value": "urn:oid:2.999.1"}, f"2.999.1^^^^{UNIQUE_ID}"),
        (
            {
                "type": {"coding": [{"system": f"{f.MHD}/x", "code": "z"}, {"code": "ACSN"}]},
                "value": "9",
            },
            f"9^^^^{ACCESSION}",
        ),
        ({"type": {"coding": [{"code": "local"}]}, "value": "9"}, "9^^^^local"),
    ],
)
def test_reference_id_as_others_write_it(element: Resource, text: str) -> None:
    assert identifiers.reference_id(element, SYSTEMS, UNIQUE_ID) == text


@pytest.mark.parametrize(
    ("code", "plain"),
    [
        (
            Code("60591-5", "2.16.840.1.113883.6.1", "Patient summary"),
            {"system": "http://loinc.org", "code": "60591-5", "display": "Patient summary"},
        ),
        (Code("A", "2.999.5", "A"), {"system": "urn:oid:2.999.5", "code": "A"}),
        (Code("A", "BCP47", "a"), {"system": "BCP47", "code": "A", "display": "a"}),
    ],
)
def test_codes(code: Code, plain: Resource) -> None:
    assert coding(code, SYSTEMS) == plain
    assert read_coding(plain, SYSTEMS) == code


def test_display_of_a_code_falls_back_to_the_concept_and_the_code() -> None:
    element = {"system": "http://loinc.org", "code": "60591-5"}
    assert read_coding(element, SYSTEMS, "Summary").display_name == "Summary"
    assert read_coding(element, SYSTEMS).display_name == "60591-5"


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("attending", {"text": "attending"}),
        (
            "author^^^&2.16.840.1.113883.6.96&ISO",
            {"coding": [{"system": "http://snomed.info/sct", "code": "author"}]},
        ),
    ],
)
def test_roles(text: str, plain: Resource) -> None:
    assert coded_concept(text, SYSTEMS) == plain
    assert read_coded_concept(plain, SYSTEMS) == text


def test_a_role_whose_system_has_no_oid_gives_its_words() -> None:
    element = {"coding": [{"system": "http://example.org/r", "code": "7", "display": "Nurse"}]}
    assert read_coded_concept(element, SYSTEMS) == "Nurse"


SOURCE_ID = "H-401^^^&2.999.1.2&ISO"
INFO = (
    f"PID-3|{SOURCE_ID}",
    "PID-5|Meier^Lena^^^Dr^^L",
    "PID-7|19610509",
    "PID-8|F",
    "PID-11|Seeweg 3^Haus B^Bern^BE^3000^CH^H",
    "PID-13|^PRN^PH^^41^31^5550100",
)


def test_patient_of_the_source() -> None:
    resource = patient(SOURCE_ID, INFO, SYSTEMS)
    assert resource == {
        "identifier": [{"use": "usual", "system": "urn:oid:2.999.1.2", "value": "H-401"}],
        "name": [{"use": "official", "family": "Meier", "given": ["Lena"], "prefix": ["Dr"]}],
        "birthDate": "1961-05-09",
        "gender": "female",
        "address": [
            {
                "use": "home",
                "line": ["Seeweg 3", "Haus B"],
                "city": "Bern",
                "state": "BE",
                "postalCode": "3000",
                "country": "CH",
            }
        ],
        "telecom": [{"system": "phone", "value": "+41 31 5550100", "use": "home"}],
    }
    assert read_patient(resource, SYSTEMS) == (SOURCE_ID, INFO)


def test_fields_that_fhir_has_no_elements_for_are_kept_beside_them() -> None:
    info = ("PID-2|1", "PID-10|2106-3", "PID-8|A")
    resource = patient(SOURCE_ID, info, SYSTEMS)
    assert resource["gender"] == "other"
    assert kept(resource) == info
    assert read_patient(resource, SYSTEMS) == (SOURCE_ID, info)


def test_an_identifier_of_a_system_without_an_oid_is_a_namespace() -> None:
    resource = {"identifier": [{"system": "http://example.org/patients", "value": "mrn-1234"}]}
    field = "PID-3|mrn-1234^^^http://example.org/patients"
    assert read_patient(resource, SYSTEMS) == (None, (field,))
    assert patient(None, (field,), SYSTEMS) == resource


def test_the_exact_text_is_believed_only_while_it_says_what_the_element_says() -> None:
    element = contact_point("^ORN^PH^^^^5550100")
    assert kept(element) == ("^ORN^PH^^^^5550100",)
    assert read_contact_point(element) == "^ORN^PH^^^^5550100"
    element["value"] = "5550199"
    assert read_contact_point(element) == "^^PH^^^^5550199"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"name": [{"family": "Okafor"}]}, "77^Okafor"),
        ({"extension": []}, "77^Ruiz"),
    ],
)
def test_a_changed_person_is_who_the_resource_says(change: Resource, said: str) -> None:
    resource = person("77^Ruiz^^^^^^table 4", SYSTEMS)
    assert read_person(resource, SYSTEMS) == "77^Ruiz^^^^^^table 4"
    assert read_person({**resource, **change}, SYSTEMS) == said


def test_changed_times_codes_and_patients_are_what_the_elements_say() -> None:
    attachment: Resource = {}
    times.write(attachment, "creation", "202602282350")
    attachment["creation"] = "2026-03-01"
    assert times.read(attachment, "creation") == "20260301"

    element: Resource = coding(Code("a  b", "urn:oid:2.999.5", "A"), SYSTEMS)
    assert read_coding(element, SYSTEMS) == Code("a  b", "urn:oid:2.999.5", "A")
    element = {**element, "display": "B"}
    assert read_coding(element, SYSTEMS) == Code("a b", "2.999.5", "B")

    resource = patient(SOURCE_ID, ("PID-8|A",), SYSTEMS)
    resource["gender"] = "female"
    source_id, info = read_patient(resource, SYSTEMS)
    assert (source_id, info) == (SOURCE_ID, (f"PID-3|{SOURCE_ID}", "PID-8|F"))


@pytest.mark.parametrize("text", ["no CX", "^^^&x&ISO", "", "\x00"])
def test_texts_that_are_not_of_their_type_are_written_all_the_same(text: str) -> None:
    for write in (person, organization):
        write(text, SYSTEMS)
    contact_point(text)
    identifiers.patient_identifier(text, SYSTEMS)
    identifiers.reference_identifier(text, SYSTEMS)
    identifiers.unique_identifier(text, SYSTEMS)
    patient(text, (text,), SYSTEMS)
    times.write({}, "date", text)
