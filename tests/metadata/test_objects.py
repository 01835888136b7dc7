"""Each declared attribute: read where the TF puts it, created, changed, removed, written back."""

from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from xds.metadata import datatypes, ebrim
from xds.metadata import vocabulary as v
from xds.metadata.attributes import (
    Attribute,
    Author,
    AuthorAttribute,
    Code,
    CodeAttribute,
    CodeListAttribute,
    FlagAttribute,
    SlotListAttribute,
)
from xds.metadata.ebrim import LocalizedString, RegistryPackage, Slot, render
from xds.metadata.objects import (
    Association,
    DocumentEntry,
    Folder,
    MetadataObject,
    SubmissionSet,
    interpreted,
)
from xds.metadata.submission import Submission

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures" / "iti42"
KINDS: tuple[type[MetadataObject], ...] = (DocumentEntry, SubmissionSet, Folder, Association)
ATTRIBUTES = [
    pytest.param(kind, name, id=f"{kind.KIND}.{attribute.tf_name}")
    for kind in KINDS
    for name, attribute in kind.attributes().items()
]
INDISPENSABLE = {"entry_uuid", "association_type", "source", "target"}
"""An object without these is none."""
RUIZ = "77^Ruiz^Elena^^^Dr^^^&2.999.1.6&ISO"


def reread(thing: MetadataObject) -> MetadataObject:
    """Write an object as XML, and read that."""
    text = (
        f'<rim:RegistryObjectList xmlns:rim="{v.NS_RIM}">{render(thing)}</rim:RegistryObjectList>'
    )
    (found,) = ebrim.read_list(etree.fromstring(text))
    read = interpreted(found)
    assert isinstance(read, MetadataObject)
    return read


def submission(name: str) -> Submission:
    root = etree.parse(FIXTURES / f"{name}.xml").getroot()
    return Submission.read(next(root.iter(f"{{{v.NS_LCM}}}SubmitObjectsRequest")))


# --- read where the TF puts it -------------------------------------------------------------------

BY_FHIR: dict[str, object] = dict.fromkeys(
    ("fhir_elements", "further_codes", "further_identifiers"), ()
)
"""What only a FHIR client gives."""
BY_MESSAGES: dict[str, object] = {"source_message": None, "on_demand_form": None}
"""What only a message gives, and what only this program gives."""

COMPREHENSIVE: dict[type[MetadataObject], dict[str, object]] = {
    DocumentEntry: {
        **BY_FHIR,
        **BY_MESSAGES,
        "entry_uuid": "document",
        "home_community_id": "urn:oid:2.999.1.4",
        "availability_status": "urn:oasis:names:tc:ebxml-regrep:StatusType:Submitted",
        "author": (
            Author(
                person=(RUIZ,),
                institution=("Harbour Hospital^^^^^^^^^2.999.1.7",),
                role=("attending", "author^^^&2.999.5.10&ISO"),
                specialty=("cardiology",),
                telecommunication=("^^Internet^ruiz@example.org", "^WPN^PH^^41^31^5550100"),
            ),
        ),
        "class_code": Code("report", "2.999.5.1", "Report"),
        "comments": "The final report",
        "limited_metadata": None,
        "confidentiality_code": (
            Code("R", "2.16.840.1.113883.5.25", "restricted"),
            Code("N", "2.16.840.1.113883.5.25", "normal"),
        ),
        "creation_time": "20260304110000",
        "document_availability": "urn:ihe:iti:2010:DocumentAvailability:Online",
        "event_code_list": (
            Code("angiography", "2.999.5.6", "Angiography"),
            Code("admission", "2.999.5.6", "Admission"),
        ),
        "format_code": Code(
            "urn:ihe:iti:xds:2017:mimeTypeSufficient",
            "1.3.6.1.4.1.19376.1.2.3",
            "Mime type sufficient",
        ),
        "hash": "0d4fd3e8b9a1f6ee2f7c1f6f5b6b0f1e8a9a4c11",
        "healthcare_facility_type_code": Code("hospital", "2.999.5.4", "Hospital"),
        "language_code": "de-CH",
        "legal_authenticator": "12^Berg^Ida^^^Prof^^^&2.999.1.6&ISO",
        "logical_id": None,
        "mime_type": "application/pdf",
        "object_type": "urn:uuid:7edca82f-054d-47f2-a032-9b2a5b5186c1",
        "patient_id": "P1^^^&2.999.1.1&ISO",
        "practice_setting_code": Code("medicine", "2.999.5.3", "General medicine"),
        "reference_id_list": (
            "ACC-9^^^&2.999.1.5&ISO^urn:ihe:iti:xds:2013:accession",
            "2.999.1.11^^^^urn:ihe:iti:xds:2013:uniqueId",
        ),
        "repository_unique_id": "2.999.1.3",
        "service_start_time": "202603010830",
        "service_stop_time": "20260304",
        "size": "20480",
        "source_patient_id": "H-401^^^&2.999.1.2&ISO",
        "source_patient_info": (
            "PID-3|H-401^^^&2.999.1.2&ISO",
            "PID-5|Meier^Lena",
            "PID-7|19610509",
            "PID-8|F",
        ),
        "title": "Discharge report",
        "type_code": Code("discharge-report", "2.999.5.2", "Discharge report"),
        "unique_id": "2.999.3.1",
        "uri": "DOC00001.PDF",
    },
    SubmissionSet: {
        **BY_FHIR,
        "entry_uuid": "submission-set",
        "home_community_id": "urn:oid:2.999.1.4",
        "availability_status": None,
        "author": (
            Author(
                person=(RUIZ,),
                institution=(
                    "Harbour Hospital^^^^^^^^^2.999.1.7",
                    "Cardiology^^^^^&2.999.1.7&ISO^^^^W3",
                ),
                role=("attending",),
                specialty=("cardiology",),
                telecommunication=("^^Internet^ruiz@example.org",),
            ),
        ),
        "comments": "Sent on the day of discharge",
        "limited_metadata": None,
        "content_type_code": Code("discharge", "2.999.5.7", "Discharge"),
        "intended_recipient": (
            "Lighthouse Practice^^^^^^^^^2.999.1.9|^Okafor^Ngozi^^^Dr",
            "|^Lindqvist^Per|^^Internet^lindqvist@example.org",
        ),
        "patient_id": "P1^^^&2.999.1.1&ISO",
        "source_id": "2.999.1.8",
        "submission_time": "20260304111500",
        "title": "Discharge",
        "unique_id": "2.999.2.1",
    },
    Association: {
        "entry_uuid": "member-document",
        "home_community_id": None,
        "availability_status": None,
        "association_type": "urn:oasis:names:tc:ebxml-regrep:AssociationType:HasMember",
        "source": "submission-set",
        "target": "document",
        "submission_set_status": "Original",
        "documentation": None,
        "previous_version": None,
        "original_status": None,
        "new_status": None,
        "association_propagation": None,
    },
}
FOLDER: dict[str, object] = {
    **BY_FHIR,
    "entry_uuid": "folder",
    "home_community_id": None,
    "availability_status": None,
    "code_list": (
        Code("cardiology", "2.999.5.8", "Cardiology"),
        Code("surgery", "2.999.5.8", "Surgery"),
    ),
    "comments": "All about the heart",
    "limited_metadata": None,
    "last_update_time": "20200101000000",
    "logical_id": None,
    "patient_id": "P1^^^&2.999.1.1&ISO",
    "title": "Heart",
    "unique_id": "2.999.4.1",
}


def attributes_of(thing: MetadataObject) -> dict[str, object]:
    return {name: getattr(thing, name) for name in thing.attributes()}


@pytest.mark.parametrize("kind", COMPREHENSIVE, ids=lambda kind: kind.KIND)
def test_every_attribute_is_read(kind: type[MetadataObject]) -> None:
    (thing,) = (t for t in submission("comprehensive_document").objects if type(t) is kind)
    assert isinstance(thing, MetadataObject)
    assert attributes_of(thing) == COMPREHENSIVE[kind]


def test_every_attribute_of_a_folder_is_read() -> None:
    assert attributes_of(submission("folder").folders[0]) == FOLDER


def test_what_is_not_there_reads_as_nothing() -> None:
    entry = submission("minimal_document").document_entries[0]
    optional = {n for n, a in entry.attributes().items() if not a.required_in}
    values = {name: getattr(entry, name) for name in optional - {"entry_uuid"}}
    assert set(values.values()) == {None, ()}


def test_the_version_and_the_kind_of_document_are_told() -> None:
    (entry,) = submission("comprehensive_document").document_entries
    assert (entry.version, entry.is_on_demand) == ("1", False)
    other = entry.updated(object_type=v.ON_DEMAND_DOCUMENT_ENTRY)
    assert other.is_on_demand


# --- created, changed, removed -------------------------------------------------------------------

SAMPLES: dict[str | None, tuple[str, str]] = {
    None: ("some text", "other <text> & \"more\" 'of' it"),
    "CX": ("P7^^^&2.999.1.1&ISO", r"P\T\8^^^&2.999.1.1&ISO"),
    "CXi": (f"A^^^^{v.REFERENCE_ORDER}", f"B^^^ns&2.999.1.5&ISO^{v.REFERENCE_REFERRAL}"),
    "DTM": ("2026", "20260102030405"),
    "DocumentAvailability": (v.ONLINE, v.OFFLINE),
    "Identifier": ("2.999.3.7", "urn:uuid:x^Ä 1"),
    "IntendedRecipient": ("|^Welby^M", "||^^Internet^a@example.org"),
    "Language": ("en", "zh-Hant-CN"),
    "MimeType": ("text/xml", "application/dicom"),
    "OID": ("2.999.1", "1.2.3"),
    "UniqueOID": ("2.999.1", "1.2.3"),
    "OIDURN": ("urn:oid:2.999.1", "urn:oid:1.2.3"),
    "SHA1": ("a" * 40, "B" * 40),
    "Size": ("0", "1099511627776"),
    "SourcePatientInfo": ("PID-8|F", "PID-5|Meier^Lena~Müller^Lena"),
    "SubmissionSetStatus": (v.ORIGINAL, v.REFERENCE),
    "UUID": (
        "urn:uuid:00000000-0000-4000-8000-000000000001",
        "urn:uuid:00000000-0000-4000-8000-000000000002",
    ),
    "XCN": (RUIZ, "^Okafor^Ngozi"),
}
CODES = (Code("a", "2.999.5.1", "A"), Code("b", "2.999.5.2", "Größe <b>"))
AUTHORS = (
    Author(person=(RUIZ,), role=("first", "second", "first")),
    Author(institution=("Laboratory", "Harbour Hospital^^^^^^^^^2.999.1.7"), specialty=("x",)),
)


def samples(attribute: Attribute[Any]) -> tuple[Any, Any]:
    """Return two values of an attribute that its data type takes."""
    match attribute:
        case AuthorAttribute():
            return AUTHORS[:1], (AUTHORS[1], AUTHORS[0])
        case CodeListAttribute():
            return CODES[:1], (CODES[1], CODES[0], CODES[1])
        case CodeAttribute():
            return CODES
        case FlagAttribute():
            return True, None
        case SlotListAttribute():
            first, second = SAMPLES[attribute.data_type]
            return (first,), (second, first, second)
    return SAMPLES[attribute.data_type]


def test_the_samples_are_of_their_data_types() -> None:
    for data_type, values in SAMPLES.items():
        for value in values:
            if data_type is not None:
                datatypes.DATA_TYPES[data_type](value)


@pytest.mark.parametrize(("kind", "name"), ATTRIBUTES)
def test_an_attribute_is_created_and_read_back(kind: type[MetadataObject], name: str) -> None:
    for value in samples(kind.attributes()[name]):
        thing = kind.create(**{name: value})
        assert type(thing) is kind
        assert getattr(thing, name) == value
        assert getattr(reread(thing), name) == value
        assert type(reread(thing)) is kind


@pytest.mark.parametrize(("kind", "name"), ATTRIBUTES)
def test_an_attribute_is_changed_and_the_others_stay(kind: type[MetadataObject], name: str) -> None:
    first = {other: samples(attribute)[0] for other, attribute in kind.attributes().items()}
    thing = kind.create(**first)
    changed = thing.updated(**{name: samples(kind.attributes()[name])[1]})
    assert attributes_of(thing) == first
    assert attributes_of(changed) == {**first, name: samples(kind.attributes()[name])[1]}
    assert attributes_of(reread(changed)) == attributes_of(changed)


@pytest.mark.parametrize(
    ("kind", "name"), [p for p in ATTRIBUTES if p.values[1] not in INDISPENSABLE]
)
def test_an_attribute_is_removed(kind: type[MetadataObject], name: str) -> None:
    attribute = kind.attributes()[name]
    value = samples(attribute)[0]
    nothing: object = () if isinstance(value, tuple) else None
    thing = kind.create(**{name: value}).updated(**{name: nothing})
    assert getattr(thing, name) == nothing
    assert attribute.occurrences(thing) == 0
    empty = attributes_of(kind.create(entry_uuid=thing.entry_uuid))
    assert attributes_of(reread(thing)) == {**empty, name: nothing}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.KIND)
def test_an_unknown_attribute_is_refused(kind: type[MetadataObject]) -> None:
    with pytest.raises(TypeError, match="colour"):
        kind.create(colour="red")
    with pytest.raises(TypeError, match="colour"):
        kind.create().updated(colour="red")


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.KIND)
def test_a_new_object_has_a_uuid_and_says_what_it_is(kind: type[MetadataObject]) -> None:
    first, second = kind.create(), kind.create()
    datatypes.check_uuid(first.entry_uuid)
    assert first.entry_uuid != second.entry_uuid
    assert type(reread(first)) is kind
    types = {
        DocumentEntry: v.STABLE_DOCUMENT_ENTRY,
        Association: v.OBJECT_TYPE_ASSOCIATION,
    }
    assert first.objectType == types.get(kind, v.OBJECT_TYPE_REGISTRY_PACKAGE)


def test_what_is_made_names_its_owner_and_its_type() -> None:
    entry = DocumentEntry.create(
        entry_uuid="document", class_code=CODES[0], author=AUTHORS, unique_id="2.999.3.1"
    )
    for part in entry.classifications:
        assert (part.classifiedObject, part.objectType) == (
            "document",
            v.OBJECT_TYPE_CLASSIFICATION,
        )
    (identifier,) = entry.external_identifiers
    assert (identifier.registryObject, identifier.objectType) == (
        "document",
        v.OBJECT_TYPE_EXTERNAL_IDENTIFIER,
    )
    assert identifier.name == (LocalizedString("XDSDocumentEntry.uniqueId"),)


# --- the rest of the language --------------------------------------------------------------------


def test_a_code_is_written_as_in_a_query() -> None:
    assert str(CODES[0]) == "a^^2.999.5.1"


def test_white_space_and_empty_values_are_no_part_of_what_is_read() -> None:
    text = f"""<rim:ExtrinsicObject xmlns:rim="{v.NS_RIM}" id=" document " home="" status=" "
        mimeType=" text/plain ">
      <rim:Slot name="size"><rim:ValueList><rim:Value> 12\n</rim:Value></rim:ValueList></rim:Slot>
      <rim:Slot name="{v.REFERENCE_ID_LIST}"><rim:ValueList><rim:Value>\ta\u00a0</rim:Value>
        <rim:Value> </rim:Value><rim:Value>b b</rim:Value><rim:Value/></rim:ValueList></rim:Slot>
      <rim:Slot name="sourcePatientId"><rim:ValueList>
        <rim:Value>\n P 1 \t^^^&amp;2.999&amp;ISO </rim:Value></rim:ValueList></rim:Slot>
      <rim:Slot name="URI"><rim:ValueList><rim:Value> </rim:Value></rim:ValueList></rim:Slot>
      <rim:Slot name="urn:a:b"><rim:ValueList/></rim:Slot>
      <rim:Name><rim:LocalizedString value=" A title "/></rim:Name>
      <rim:Classification id="c" classifiedObject="document" nodeRepresentation=" n "
          classificationScheme=" {v.DOCUMENT_ENTRY_CLASS_CODE} ">
        <rim:Slot name="codingScheme"><rim:ValueList><rim:Value> s </rim:Value></rim:ValueList>
        </rim:Slot><rim:Name><rim:LocalizedString value=" d "/></rim:Name>
      </rim:Classification>
      <rim:Classification id="d" classifiedObject="document" nodeRepresentation=""
          classificationScheme="{v.DOCUMENT_ENTRY_AUTHOR}">
        <rim:Slot name="authorPerson"><rim:ValueList><rim:Value>
            ^Muster^Maria
          </rim:Value></rim:ValueList></rim:Slot>
      </rim:Classification>
      <rim:ExternalIdentifier id="e" registryObject="document" value=" 2.999.3.1 "
          identificationScheme="{v.DOCUMENT_ENTRY_UNIQUE_ID}"/>
    </rim:ExtrinsicObject>"""
    entry = ebrim.read(etree.fromstring(text), DocumentEntry)
    assert (entry.id, entry.home, entry.status, entry.mime_type) == (
        "document",
        None,
        None,
        "text/plain",
    )
    assert (entry.size, entry.reference_id_list) == ("12", ("a", "b b"))
    assert (entry.source_patient_id, entry.title) == ("P 1^^^&2.999&ISO", "A title")
    assert [slot.name for slot in entry.slots] == ["size", v.REFERENCE_ID_LIST, "sourcePatientId"]
    assert entry.class_code == Code("n", "s", "d")
    assert entry.author == (Author(person=("^Muster^Maria",)),)
    assert entry.unique_id == "2.999.3.1"


def test_a_title_is_read_in_its_first_language_and_all_are_kept() -> None:
    (entry,) = submission("several_languages").document_entries
    assert entry.title == 'Discharge "report"'
    assert [string.lang for string in entry.name] == ["en-GB", "de-CH", "el"]
    assert entry.class_code == Code("report", "2.999.5.1", "Report")


def test_occurrences_count_what_cardinality_looks_at() -> None:
    entry = DocumentEntry.create(class_code=CODES[0], unique_id="1.2", hash="a" * 40)
    declared = DocumentEntry.attributes()
    doubled = ebrim.changed(
        entry,
        classifications=entry.classifications * 2,
        external_identifiers=entry.external_identifiers * 2,
        slots=(Slot("hash", ("a" * 40, "b" * 40)),),
    )
    names = ("class_code", "unique_id", "hash", "title")
    assert [declared[name].occurrences(doubled) for name in names] == [2, 2, 2, 0]


def test_a_package_of_no_or_two_types_stays_a_package() -> None:
    folder = Folder.create()
    both = ebrim.changed(
        folder,
        classifications=(*folder.classifications, *SubmissionSet.create().classifications),
    )
    neither = ebrim.changed(folder, classifications=())
    for classifications in (both.classifications, neither.classifications):
        package = RegistryPackage(id="p", classifications=classifications)
        assert interpreted(package) is package
