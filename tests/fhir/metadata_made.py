"""Metadata objects of every form that the data types allow, made by hypothesis."""

from collections.abc import Callable
from typing import Any, Final

from hypothesis import strategies as st

from xds.metadata import vocabulary as v
from xds.metadata.datatypes import (
    CX,
    HD,
    XCN,
    XON,
    XTN,
    CodedString,
    CXi,
    IntendedRecipient,
)
from xds.metadata.hl7_escapes import escape
from xds.metadata.objects import Author, Code, DocumentEntry, Folder, SubmissionSet

Draw = Callable[[st.SearchStrategy[Any]], Any]

HOME: Final = "urn:oid:2.999.1.4"

# what XML carries: no control characters, no surrogates
characters: Final = st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp", "Cn"))
texts: Final = st.one_of(
    st.sampled_from(
        ["Ruiz", "van der Berg", "O'Hara & Söhne", "a^b", "x|y~z\\E\\", "Λένα", "1.2.3"]
    ),
    st.text(characters, min_size=1, max_size=12).filter(str.strip).map(str.strip),
)
words: Final = st.text("abcXYZ019-._", min_size=1, max_size=8)
oids: Final = st.one_of(
    st.sampled_from(
        ["2.16.840.1.113883.2.1.4.1", "1.2.826.0.1285.0.1.10", "2.16.840.1.113883.6.96", "2.999.1"]
    ),
    st.lists(st.integers(0, 99_999), min_size=1, max_size=5).map(
        lambda arcs: "2.999." + ".".join(map(str, arcs))
    ),
)
uuids: Final = st.uuids().map(lambda uuid: f"urn:uuid:{uuid}")
schemes: Final = st.one_of(
    oids,
    oids.map(lambda oid: f"urn:oid:{oid}"),
    st.sampled_from(
        [
            "http://loinc.org",
            "http://ihe.net/fhir/ValueSet/IHE.FormatCode.codesystem",
            "http://example.org/codes?set=1&of=2",
            "Connect-a-thon classCodes",
            "BCP47",
            "50% of codes",
        ]
    ),
    words,
)
codes: Final = st.builds(Code, st.one_of(words, texts), schemes, texts)


def optional(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


def many(strategy: st.SearchStrategy[Any], most: int = 3) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(strategy, max_size=most, unique=True).map(tuple)


@st.composite
def dtms(draw: Draw) -> str:
    """Return a DTM of any precision."""
    at = draw(st.datetimes())
    digits = f"{at.year:04}{at:%m%d%H%M%S}"
    return digits[: draw(st.sampled_from([4, 6, 8, 10, 12, 14]))]


@st.composite
def persons(draw: Draw) -> str:
    """Return an XCN, sometimes with components or delimiters that say nothing."""
    number, authority = draw(optional(texts)), draw(optional(oids))
    family, given, further, suffix, prefix, degree, table = (
        draw(optional(texts)) or "" for _ in range(7)
    )
    family = family or ("" if number else draw(texts))
    names = (family, given, further, suffix, prefix, degree, table)
    made = XCN(number or "", *names, assigning_authority=authority or "")
    return str(made) + str(draw(st.sampled_from(["", "", "^", "^^^^L", "&", "^^^L^^^MR"])))


@st.composite
def institutions(draw: Draw) -> str:
    """Return an XON."""
    number, authority = draw(st.one_of(st.none(), oids, texts)), draw(optional(oids))
    try:
        made = XON(
            organization_name=draw(texts),
            organization_identifier=number or "",
            assigning_authority=authority or "",
        )
    except ValueError:  # an id that is no OID, without authority
        made = XON(organization_name=draw(texts))
    return str(made) + str(draw(st.sampled_from(["", "", "^", "^^L"])))


@st.composite
def telecommunications(draw: Draw) -> str:
    """Return an XTN."""
    use = draw(st.sampled_from(["", "PRN", "WPN", "NET", "ORN", "EMR", "VHN"]))
    if draw(st.booleans()):
        kind = draw(st.sampled_from(["Internet", "internet", "X.400"]))
        address = draw(st.sampled_from(["a@example.org", "http://example.org/~a", "no address"]))
        return str(XTN(use, kind, address, number="1" if kind == "X.400" else ""))
    part = optional(st.one_of(words, st.sampled_from(["41", "31", "555 01 00"])))
    country, area = draw(part) or "", draw(part) or ""
    kind = draw(st.sampled_from(["PH", "CP", "FX", "BP", "MD", "SAT", "TDD"]))
    number = draw(st.one_of(st.sampled_from(["5550100", "555-01 00", "+41 31 5550100"]), texts))
    text = str(XTN(use, kind, "", country, area, number, draw(st.sampled_from(["", "12"]))))
    return text + str(draw(st.sampled_from(["", "", "^"])))


coded_strings: Final = st.one_of(
    texts,
    st.builds(CodedString, words, oids).map(str),
    st.builds(CodedString, texts, oids).map(str),
)


@st.composite
def authors(draw: Draw) -> Author:
    """Return an author who is somebody."""
    made = Author(
        person=tuple(draw(st.lists(persons(), max_size=1))),
        institution=draw(many(institutions())),
        role=draw(many(coded_strings, 2)),
        specialty=draw(many(coded_strings, 2)),
        telecommunication=draw(many(telecommunications(), 2)),
    )
    if made.person or made.institution or made.telecommunication:
        return made
    return Author(person=(draw(persons()),), role=made.role, specialty=made.specialty)


@st.composite
def references(draw: Draw) -> str:
    """Return a CXi; none of an encounter, whose place among others is not kept."""
    kind = draw(
        st.sampled_from(
            [v.REFERENCE_ACCESSION, v.REFERENCE_UNIQUE_ID, v.REFERENCE_STUDY_INSTANCE_UID, "local"]
        )
    )
    authority = draw(
        st.one_of(
            st.none(),
            oids.map(lambda oid: HD(universal_id=oid)),
            st.builds(HD, texts),
            st.builds(HD, texts, oids),
            st.sampled_from([HD("NHS"), HD("http://example.org/visits")]),
        )
    )
    number = draw(st.one_of(texts, oids, uuids, st.just("http://example.org/x")))
    if kind == v.REFERENCE_STUDY_INSTANCE_UID:
        authority = None
    further = draw(st.sampled_from(["", "&2.999.8&ISO"])) if kind == "local" else ""
    return str(CXi(number, kind, authority, further))


cxs: Final = st.builds(CX, texts, oids).map(str)
components: Final = st.lists(texts.map(escape), min_size=1, max_size=7).map("^".join)
pid_values: Final = st.one_of(
    st.tuples(st.just(3), st.one_of(cxs, texts.map(lambda t: f"{escape(t)}^^^NHS"), components)),
    st.tuples(st.just(5), components),
    st.tuples(st.sampled_from([11, 13, 14]), st.one_of(components, telecommunications())),
    st.tuples(st.sampled_from([2, 4, 10, 15, 30]), components),
).map(lambda pair: f"PID-{pair[0]}|{pair[1]}")


@st.composite
def patient_infos(draw: Draw) -> tuple[str, ...]:
    """Return the values of sourcePatientInfo, in any order."""
    found = [*draw(many(pid_values, 4))]
    if draw(st.booleans()):
        found.append(f"PID-7|{draw(dtms())}")
    if draw(st.booleans()):
        found.append(f"PID-8|{draw(st.sampled_from('MFOUAN'))}")
    return tuple(draw(st.permutations(found)))


unique_ids: Final = st.one_of(
    oids,
    uuids,
    oids.map(lambda oid: f"urn:oid:{oid}"),
    st.builds("{}^{}".format, oids, texts),
    st.just("http://example.org/documents/1"),
    texts,
)


def _given(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


@st.composite
def document_entries(draw: Draw) -> DocumentEntry:
    """Return a DocumentEntry with any of the attributes that FHIR can hold."""
    values = {
        "entry_uuid": draw(uuids),
        "logical_id": draw(optional(uuids)),
        "home_community_id": draw(optional(st.just(HOME))),
        "availability_status": draw(st.sampled_from([v.APPROVED, v.DEPRECATED])),
        "author": draw(many(authors())),
        "class_code": draw(optional(codes)),
        "comments": draw(optional(texts)),
        "confidentiality_code": draw(many(codes)),
        "creation_time": draw(dtms()),
        "document_availability": draw(st.sampled_from([None, v.ONLINE, v.OFFLINE])),
        "event_code_list": draw(many(codes)),
        "format_code": draw(optional(codes)),
        "hash": draw(optional(st.binary(min_size=20, max_size=20).map(bytes.hex))),
        "healthcare_facility_type_code": draw(optional(codes)),
        "language_code": draw(st.sampled_from([None, "en", "de-CH"])),
        "legal_authenticator": draw(optional(persons())),
        "mime_type": draw(
            st.sampled_from(["text/xml", "application/pdf", 'text/plain;  charset="utf-8"'])
        ),
        "patient_id": draw(cxs),
        "practice_setting_code": draw(optional(codes)),
        "reference_id_list": draw(many(references())),
        "service_start_time": draw(optional(dtms())),
        "service_stop_time": draw(optional(dtms())),
        "size": draw(st.sampled_from([None, "0", "007", "2147483647", "5000000000"])),
        "source_patient_id": draw(cxs),
        "source_patient_info": draw(patient_infos()),
        "title": draw(optional(texts)),
        "type_code": draw(optional(codes)),
        "unique_id": draw(unique_ids),
        "uri": draw(st.sampled_from([None, "DOC00001.PDF", "a b"])),
    }
    return DocumentEntry.create(**_given(values))


@st.composite
def recipients(draw: Draw) -> str:
    """Return an intendedRecipient."""
    makers = (institutions(), persons(), telecommunications())
    text = "|".join(draw(optional(maker)) or "" for maker in makers).rstrip("|")
    try:
        IntendedRecipient.parse(text)
    except ValueError:  # nobody at all
        return f"|{draw(persons())}"
    return text


@st.composite
def submission_sets(draw: Draw) -> SubmissionSet:
    """Return a SubmissionSet with any of its attributes."""
    values = {
        "entry_uuid": draw(uuids),
        "home_community_id": draw(optional(st.just(HOME))),
        "availability_status": v.APPROVED,
        "author": draw(many(authors())),
        "comments": draw(optional(texts)),
        "content_type_code": draw(optional(codes)),
        "intended_recipient": draw(many(recipients())),
        "patient_id": draw(optional(cxs)),
        "source_id": draw(oids),
        "submission_time": draw(dtms()),
        "title": draw(optional(texts)),
        "unique_id": draw(oids),
    }
    return SubmissionSet.create(**_given(values))


@st.composite
def folders(draw: Draw) -> Folder:
    """Return a Folder with any of its attributes."""
    values = {
        "entry_uuid": draw(uuids),
        "home_community_id": draw(optional(st.just(HOME))),
        "logical_id": draw(optional(uuids)),
        "availability_status": draw(st.sampled_from([v.APPROVED, v.DEPRECATED])),
        "code_list": draw(many(codes)),
        "comments": draw(optional(texts)),
        "last_update_time": draw(optional(dtms())),
        "patient_id": draw(optional(cxs)),
        "title": draw(optional(texts)),
        "unique_id": draw(oids),
    }
    return Folder.create(**_given(values))
