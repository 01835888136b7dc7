"""The data types of metadata attributes, rule by rule (ITI TF-3 4.2.3.1.7)."""

import contextlib
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xds.metadata import vocabulary as v
from xds.metadata.datatypes import (
    CX,
    DATA_TYPES,
    HD,
    XCN,
    XON,
    XTN,
    CodedString,
    CXi,
    IntendedRecipient,
    SourcePatientInfo,
    check_source_patient_info,
    earliest,
    is_oid,
    now,
)
from xds.metadata.hl7_escapes import escape, unescape

# Every rule: a good value, and what breaks it

GOOD = [
    ("CX", "P0001^^^&2.999.1.1&ISO"),
    ("CX", r"Smith \T\ Sons \S\7^^^&1.2.3&ISO"),
    ("CX", f"{'9' * 200}^^^&1.2.3&ISO"),  # no HL7 length limits
    ("CXi", "ACC-55^^^&2.999.1.5&ISO^urn:ihe:iti:xds:2013:accession"),
    ("CXi", "ACC-55^^^RIS^urn:ihe:iti:xds:2013:accession"),
    ("CXi", "ACC-55^^^RIS&2.999.1.5&ISO^urn:ihe:iti:xds:2013:order"),
    ("CXi", "2.999.7^^^^urn:ihe:iti:xds:2016:studyInstanceUID"),
    ("CXi", "2.999.7^^^^urn:ihe:iti:xdw:2013:workflowInstanceId^"),
    ("CXi", "77^^^&1.2.40&ISO^urn:elga:iti:xds:2014:ownDocument_setId^&1.2.40.1&ISO"),
    ("CodedString", "309343006^^^&2.16.840.1.113883.6.96&ISO"),
    ("DTM", "2004"),
    ("DTM", "200402"),
    ("DTM", "20040229"),
    ("DTM", "2004022923"),
    ("DTM", "200402292359"),
    ("DTM", "20040229235959"),
    ("DocumentAvailability", "urn:ihe:iti:2010:DocumentAvailability:Offline"),
    ("HD", "XAD"),
    ("HD", "&2.999.1.1&ISO"),
    ("Identifier", "2.999.3^extension"),
    ("Identifier", "x" * 256),
    ("IntendedRecipient", "General Hospital^^^^^^^^^2.999.1.7|^Welby^Marcus^^^Dr"),
    ("IntendedRecipient", "|^Welby^M"),
    ("IntendedRecipient", "||^^Internet^a@example.org"),
    ("IntendedRecipient", "General Hospital||"),
    ("IntendedRecipient", "General Hospital|^^|^^^"),
    ("Language", "en"),
    ("Language", "en-us"),
    ("Language", "sr-Latn-RS"),
    ("Language", "es-419"),
    ("Language", "zh-cmn-Hans-CN"),
    ("Language", "sl-rozaj-biske-1994"),
    ("Language", "de-DE-u-co-phonebk-x-ours"),
    ("Language", "x-ours"),
    ("Language", "i-klingon"),
    ("MimeType", "text/plain"),
    ("MimeType", "application/vnd.oasis.opendocument.text"),
    ("MimeType", 'multipart/related; type="application/dicom"; boundary=b1'),
    ("OID", "2.999.1.3"),
    ("OID", "1." + "2" * 62),
    ("UniqueOID", "1." + "2" * 254),
    ("OIDURN", "urn:oid:2.999.1.4"),
    ("OIDURN", "urn:oid:1." + "2" * 62),
    ("SHA1", "da39a3ee5e6b4b0d3255bfef95601890afd80709"),
    ("SHA1", "DA39A3EE5E6B4B0D3255BFEF95601890AFD80709"),
    ("Size", "0"),
    ("Size", "9" * 18),
    ("SourcePatientInfo", "PID-3|pid1^^^domain"),
    ("SourcePatientInfo", "PID-5|Doe^John~Doe^Johnny"),
    ("SourcePatientInfo", "PID-7|19560527"),
    ("SubmissionSetStatus", "Original"),
    ("SubmissionSetStatus", "Reference"),
    ("URN", "urn:oid:2.999"),
    ("URN", "URN:example:a-b"),
    ("UUID", "urn:uuid:7edca82f-054d-47f2-a032-9b2a5b5186c1"),
    ("XCN", "D123^Welby^Marcus^^^Dr^^^&2.999.1.6&ISO"),
    ("XCN", "^Dopplemeyer^Sherry^^^"),  # trailing delimiters
    ("XCN", "D123^^^^^^^^&2.999.1.6&ISO"),  # an id is enough
    ("XCN", "D123^Welby"),  # the id may be unique by itself
    ("XCN", "D123^Welby^Marcus^^^^^^&2.999.1.6&ISO^L^^^EI"),  # components not mentioned
    ("XCN", "^Welby^^^^^^^&&"),  # an empty authority
    ("XCN", "D123^Welby^^^^^^^&2.999.1.6&ISO&"),
    ("XON", "General Hospital"),
    ("XON", "General Hospital^^^^^^^^^2.999.1.7"),
    ("XON", "General Hospital^^^^^&2.999.1.8&ISO^^^^4711"),
    ("XON", "General Hospital^L^^^^GH&2.999.1.8&ISO^XX^^^4711"),  # stray components
    ("XON", "General Hospital^^^^^GH^^^^2.999.1.7"),  # no authority needed
    ("XTN", "^PRN^PH^^1^555^1234567^89"),
    ("XTN", "^^PH^^^^1234567"),
    ("XTN", "^NET^Internet^a@example.org"),
    ("XTN", "^^internet^a@example.org^^^^^home"),
]

BAD = [
    ("CX", "P0001", "without authority"),
    ("CX", "^^^&2.999.1.1&ISO", "without id"),
    ("CX", "P0001^^^XAD&2.999.1.1&ISO", "with a namespace"),
    ("CX", "P0001^1^^&2.999.1.1&ISO", "with component 2"),
    ("CX", "P0001^^^&2.999.1.1&ISO^PI", "with component 5"),
    ("CX", "P0001^^^&2.999.1.1&ISO^", "with a trailing delimiter"),
    ("CX", "P0001^^^&2.999.1.1", "without ISO"),
    ("CX", "P0001^^^&2.999.01&ISO", "OID with a leading zero"),
    ("CX", "P0001^^^&2.999.1.1&ISO\n", "with a line break"),
    ("CX", "\nP0001^^^&2.999.1.1&ISO", "with a line break in the id"),
    ("CXi", "^^^RIS^urn:ihe:iti:xds:2013:accession", "without id"),
    ("CXi", "ACC-55^^^RIS", "without type code"),
    ("CXi", "ACC-55^1^^RIS^urn:ihe:iti:xds:2013:order", "with component 2"),
    ("CXi", "ACC-55^^M11^RIS^urn:ihe:iti:xds:2013:order", "with component 3"),
    ("CXi", "ACC-55^^^RIS^urn:ihe:iti:xds:2013:order^x", "with component 6"),
    ("CXi", "ACC-55^^^&2.999.1.5^urn:ihe:iti:xds:2013:order", "OID without ISO"),
    ("CXi", "ACC-55^^^&2.999.1.5&UUID^urn:ihe:iti:xds:2013:order", "authority not ISO"),
    ("CXi", "7^^^RIS^urn:ihe:iti:xds:2016:studyInstanceUID", "study UID with an authority"),
    ("CXi", "7^^^RIS^urn:ihe:iti:xdw:2013:workflowInstanceId", "workflow with an authority"),
    ("CodedString", "309343006", "without code system"),
    ("CodedString", "309343006^^^&SNOMED&ISO", "code system not an OID"),
    ("DTM", "", "empty"),
    ("DTM", "04", "a year of two digits"),
    ("DTM", "0000", "the year 0000"),
    ("DTM", "200413", "month 13"),
    ("DTM", "20260230", "30 February"),
    ("DTM", "20260229", "29 February in a common year"),
    ("DTM", "2100022912", "29 February in a century"),
    ("DTM", "20260431", "31 April"),
    ("DTM", "2026010124", "hour 24"),
    ("DTM", "20260101000060", "second 60"),
    ("DTM", "2026-01-02", "as in XML"),
    ("DTM", "20260102030405.5", "with a fraction"),
    ("DTM", "20260102030405+0100", "with a zone"),
    ("DTM", "2026\n", "with a line break"),
    ("DTM", "\uff12\uff10\uff12\uff16", "digits of another script"),
    ("DocumentAvailability", "Online", "a word and not the URN"),
    ("HD", "", "empty"),
    ("HD", "&2.999.x&ISO", "not an OID"),
    ("HD", "&&ISO", "a type of nothing"),
    ("Identifier", " ", "blank"),
    ("Identifier", "x" * 257, "too long"),
    ("IntendedRecipient", "||", "without any part"),
    ("IntendedRecipient", "|^Welby||x", "with a fourth part"),
    ("IntendedRecipient", "^^^^^^^^^2.999.1.7|^Welby", "organisation without name"),
    ("IntendedRecipient", "|^^Marcus", "person without family name"),
    ("IntendedRecipient", "||a@example.org", "telecom without equipment type"),
    ("Language", "", "empty"),
    ("Language", "en_US", "with an underscore"),
    ("Language", "en-languages", "a subtag too long"),
    ("Language", "e", "too short"),
    ("Language", "en-US-GB", "two regions"),
    ("Language", "en-x", "private use without a subtag"),
    ("Language", "e\u017f", "a letter that is s only when case is folded"),
    ("MimeType", "text/pl\xe4in", "a letter beyond ASCII"),
    ("MimeType", "pdf", "without subtype"),
    ("MimeType", "", "empty"),
    ("MimeType", "text/plain\r\nX: y", "with a line break"),
    ("MimeType", "text/plain, text/html", "two of them"),
    ("OID", "2", "one arc"),
    ("OID", "3.1", "a root arc that is none"),
    ("OID", "1.02", "a leading zero"),
    ("OID", "1..2", "an empty arc"),
    ("OID", "urn:oid:1.2", "as a URN"),
    ("OID", "1." + "2" * 63, "65 characters"),
    ("UniqueOID", "1." + "2" * 255, "257 characters"),
    ("UniqueOID", "1.02", "a leading zero"),
    ("OIDURN", "2.999.1.4", "without urn:oid:"),
    ("OIDURN", "urn:oid:x", "not an OID"),
    ("OIDURN", "urn:oid:1." + "2" * 63, "65 characters"),
    ("SHA1", "da39a3ee", "too short"),
    ("SHA1", "g" * 40, "not hexadecimal"),
    ("Size", "-1", "negative"),
    ("Size", "1e3", "not an integer"),
    ("Size", "9" * 19, "beyond 64 bits"),
    ("SourcePatientInfo", "Doe^John", "without a field name"),
    ("SourcePatientInfo", "PV1-5|x", "a field of another segment"),
    ("SourcePatientInfo", "PID-41|x", "a field that PID has not"),
    ("SourcePatientInfo", "PID-7|19560527~19560528", "two dates of birth"),
    ("SubmissionSetStatus", "original", "in lower case"),
    ("URN", "http://example.org/", "a URL"),
    ("URN", "urn:example:", "empty after the namespace"),
    ("UUID", "urn:uuid:7EDCA82F-054D-47F2-A032-9B2A5B5186C1", "in upper case"),
    ("UUID", "7edca82f-054d-47f2-a032-9b2a5b5186c1", "without urn:uuid:"),
    ("UUID", "urn:uuid:7edca82f054d47f2a0329b2a5b5186c1", "without hyphens"),
    ("XCN", "", "empty"),
    ("XCN", "^^Marcus", "neither id nor family name"),
    ("XCN", "D123^Welby^^^^^^^AA&2.999.1.6&ISO", "authority with a namespace"),
    ("XCN", "D123^Welby^^^^^^^2.999.1.6", "authority a bare OID"),
    ("XCN", "D123^Welby^^^^^^^&2.999.1.6", "authority without ISO"),
    ("XCN", "D123^Welby^^^^^^^&nowhere&ISO", "authority not an OID"),
    ("XON", "", "empty"),
    ("XON", " ^^^^^^^^^2.999.1.7", "blank name"),
    ("XON", "General Hospital^^^^^^^^^4711", "local id without authority"),
    ("XON", "General Hospital^^^^^GH^^^^4711", "local id, authority without OID"),
    ("XON", "General Hospital^^^^^&2.999.1.8^^^^4711", "local id, authority without ISO"),
    ("XTN", "555-1234567", "a number in component 1"),
    ("XTN", "^PRN^^^^^1234567", "without equipment type"),
    ("XTN", "^PRN^PH^^1^555", "telephone without number"),
    ("XTN", "^NET^Internet", "e-mail without address"),
]


@pytest.mark.parametrize(("data_type", "text"), GOOD)
def test_a_good_value_passes(data_type: str, text: str) -> None:
    DATA_TYPES[data_type](text)


@pytest.mark.parametrize(
    ("data_type", "text"), [row[:2] for row in BAD], ids=[f"{row[0]}: {row[2]}" for row in BAD]
)
def test_a_bad_value_is_refused_without_quoting_it(data_type: str, text: str) -> None:
    with pytest.raises(ValueError, match=r"\w") as caught:
        DATA_TYPES[data_type](text)
    assert not re.search(r"P0001|D123|Welby|Marcus|Doe|ACC-55|1956|555|2\.999", str(caught.value))


def test_every_data_type_has_a_good_and_a_bad_value() -> None:
    assert {name for name, _ in GOOD} == {name for name, *_ in BAD} == set(DATA_TYPES)


@pytest.mark.parametrize("text", [text for name, text in GOOD if name == "CX"])
def test_a_cx_that_passes_can_be_read(text: str) -> None:
    assert str(CX.parse(text)) == text


@pytest.mark.parametrize("text", [text for name, text, _ in BAD if name == "CX"])
def test_a_cx_that_is_refused_cannot_be_read(text: str) -> None:
    with pytest.raises(ValueError, match="ID"):
        CX.parse(text)


# What is read


def test_xcn_components() -> None:
    assert XCN.parse("D1^Welby^Marcus^M. J.^Jr.^Dr^MD^src^&2.999.1.6&ISO") == XCN(
        id_number="D1",
        family_name="Welby",
        given_name="Marcus",
        further_given_names="M. J.",
        suffix="Jr.",
        prefix="Dr",
        degree="MD",
        source_table="src",
        assigning_authority="2.999.1.6",
    )


def test_xcn_takes_the_first_subcomponent_as_the_family_name() -> None:
    assert XCN.parse("^van Buren&van&Buren^Ada").family_name == "van Buren"
    assert XCN.parse(r"^Smith\T\Co^Ada").family_name == "Smith&Co"


def test_xon_components() -> None:
    read = XON.parse("Health & Care^^^^^GH&2.999.1.8&ISO^^^^4711")
    assert read.organization_name == "Health & Care"
    assert (read.assigning_authority, read.organization_identifier) == ("2.999.1.8", "4711")


def test_xtn_components() -> None:
    assert XTN.parse("^PRN^PH^^1^555^1234567^89") == XTN(
        use_code="PRN",
        equipment_type="PH",
        country_code="1",
        area_code="555",
        number="1234567",
        extension="89",
    )
    mail = XTN.parse("^NET^Internet^a@example.org")
    assert (mail.is_internet, mail.address) == (True, "a@example.org")


def test_cxi_components() -> None:
    text = "ACC-55^^^RIS&2.999.1.5&ISO^urn:example:local^&2.999.1.4&ISO"
    assert CXi.parse(text) == CXi(
        "ACC-55", "urn:example:local", HD("RIS", "2.999.1.5"), "&2.999.1.4&ISO"
    )


def test_intended_recipient_parts() -> None:
    assert IntendedRecipient.parse("|D1^Welby|^^Internet^a@example.org") == IntendedRecipient(
        person=XCN(id_number="D1", family_name="Welby"),
        telecommunication=XTN(equipment_type="Internet", address="a@example.org"),
    )


def test_source_patient_info_repetitions() -> None:
    read = SourcePatientInfo.parse("PID-5|Doe^John~Doe^Johnny")
    assert (read.field, read.repetitions) == (5, ("Doe^John", "Doe^Johnny"))


def test_source_patient_info_has_one_date_of_birth_and_one_sex() -> None:
    values = ["PID-3|1^^^a", "PID-3|2^^^b", "PID-7|1956", "PID-8|M"]
    check_source_patient_info(values)
    with pytest.raises(ValueError, match="only once"):
        check_source_patient_info([*values, "PID-8|F"])


def test_a_value_that_breaks_a_rule_cannot_be_made_either() -> None:
    with pytest.raises(ValueError, match="ISO"):
        CX("P0001", "XAD")
    with pytest.raises(ValueError, match="component 6"):
        XON(organization_name="General Hospital", organization_identifier="4711")


# HL7 escapes


def test_separators_are_escaped() -> None:
    assert escape("|^~&\\") == "\\F\\\\S\\\\R\\\\T\\\\E\\"
    assert unescape(r"a\F\b\S\c\R\d\T\e\E\f") == r"a|b^c~d&e\f"


@pytest.mark.parametrize("text", [r"DOM\user", "\\H\\bold\\N\\", "a & b", "\\"])
def test_what_is_no_escape_sequence_stays(text: str) -> None:
    assert unescape(text) == text


@given(st.text())
def test_what_is_escaped_comes_back(text: str) -> None:
    assert unescape(escape(text)) == text
    assert not set("|^~&") & set(escape(text))


# DTM


@pytest.mark.parametrize(
    ("dtm", "expected"),
    [
        ("2026", "20260101000000"),
        ("202607", "20260701000000"),
        ("20260709", "20260709000000"),
        ("2026070912", "20260709120000"),
        ("202607091234", "20260709123400"),
        ("20260709123456", "20260709123456"),
    ],
)
def test_earliest_instant(dtm: str, expected: str) -> None:
    assert earliest(dtm) == expected


@given(st.datetimes(min_value=datetime(1, 1, 1)), st.sampled_from([4, 6, 8, 10, 12, 14]))
def test_every_real_time_is_a_dtm_of_any_precision(moment: datetime, precision: int) -> None:
    text = f"{moment:%m%d%H%M%S}"
    dtm = f"{moment.year:04}{text}"[:precision]
    DATA_TYPES["DTM"](dtm)
    DATA_TYPES["DTM"](earliest(dtm))
    assert earliest(dtm) <= f"{moment.year:04}{text}"


def test_now_is_a_dtm_in_utc() -> None:
    DATA_TYPES["DTM"](now())
    stated = datetime.strptime(now(), "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    assert abs(datetime.now(UTC) - stated) < timedelta(minutes=5)


# There and back

CANONICAL: list[tuple[Callable[[str], object], str]] = [
    (CX.parse, r"P\T\1^^^&2.999.1.1&ISO"),
    (CodedString.parse, "394802001^^^&2.16.840.1.113883.6.96&ISO"),
    (CXi.parse, "ACC-55^^^&2.999.1.5&ISO^urn:ihe:iti:xds:2013:accession"),
    (CXi.parse, "2.999.7^^^^urn:ihe:iti:xds:2016:studyInstanceUID"),
    (HD.parse, "XAD&2.999.1.1&ISO"),
    (XCN.parse, "D123^Welby^Marcus^^^Dr^^^&2.999.1.6&ISO"),
    (XCN.parse, "^Dopplemeyer^Sherry"),
    (XON.parse, "General Hospital^^^^^&2.999.1.8&ISO^^^^4711"),
    (XTN.parse, "^PRN^PH^^1^555^1234567"),
    (XTN.parse, "^NET^Internet^a@example.org"),
    (IntendedRecipient.parse, "General Hospital^^^^^^^^^2.999.1.7|^Welby^Marcus^^^Dr"),
    (IntendedRecipient.parse, "||^^Internet^a@example.org"),
    (SourcePatientInfo.parse, "PID-11|100 Main St^^Metropolis^Il^44130^USA"),
]


@pytest.mark.parametrize(("parse", "text"), CANONICAL)
def test_canonical_text_comes_back(parse: Callable[[str], object], text: str) -> None:
    assert str(parse(text)) == text


arcs = st.integers(0, 10**9).map(str)
oids = st.tuples(st.sampled_from("012"), st.lists(arcs, min_size=1, max_size=8)).map(
    lambda root_and_arcs: ".".join([root_and_arcs[0], *root_and_arcs[1]])
)
texts = st.text() | st.text(alphabet=r"aB1|^~&\ FSRTE")
names = texts.filter(lambda text: text.strip() != "")
printable = texts.map(lambda text: re.sub(r"[\x00-\x1f]", "", text)).filter(bool)
authorities = st.builds(HD, names, oids) | st.builds(HD, names) | st.builds(HD, st.just(""), oids)
persons = st.builds(XCN, texts, names, texts, texts, texts, texts, texts, texts, st.just("") | oids)
organizations = st.builds(
    XON,
    organization_name=names,
    organization_identifier=texts,
    assigning_authority=oids,
) | st.builds(XON, organization_name=names, organization_identifier=st.just("") | oids)
telephones = st.builds(
    XTN,
    use_code=texts,
    equipment_type=st.sampled_from(["PH", "FX", "CP"]),
    country_code=texts,
    area_code=texts,
    number=names,
    extension=texts,
)
mails = st.builds(XTN, use_code=texts, equipment_type=st.just("Internet"), address=names)


@given(
    st.builds(CX, printable, oids)
    | st.builds(CodedString, printable, oids)
    | st.builds(CXi, names, st.just(v.REFERENCE_ORDER), st.none() | authorities)
    | st.builds(CXi, names, names.filter(lambda t: not t.startswith("urn:ihe:")))
    | authorities
    | persons
    | organizations
    | telephones
    | mails
    | st.builds(
        IntendedRecipient,
        organization=organizations,
        person=st.none() | persons,
        telecommunication=st.none() | telephones | mails,
    )
    | st.builds(IntendedRecipient, telecommunication=mails)
    | st.builds(SourcePatientInfo, st.just(5), st.lists(texts.map(escape), min_size=1).map(tuple))
)
def test_every_value_comes_back(value: CX) -> None:
    assert type(value).parse(str(value)) == value


@given(oids)
def test_oids(oid: str) -> None:
    assert is_oid(oid)
    assert not is_oid(oid + ".")
    if len(oid) <= 64:
        DATA_TYPES["OID"](oid)
        DATA_TYPES["OIDURN"](f"urn:oid:{oid}")


@given(st.sampled_from(sorted(DATA_TYPES)), texts)
def test_no_text_is_answered_by_anything_but_a_value_error(data_type: str, text: str) -> None:
    with contextlib.suppress(ValueError):
        DATA_TYPES[data_type](text)
