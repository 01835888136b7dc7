"""Violations of the rules of single attributes; those of a declaration are made of it.

An attribute declared in :mod:`xds.metadata.objects` has its rows here without further work.
"""

from collections.abc import Iterator
from typing import Any, Final

from tests.registry import edits
from tests.registry.edits import (
    DOCUMENT_ENTRY,
    FOLDER,
    SUBMISSION_SET,
    Edit,
    association,
    attribute,
    both,
    classification,
    identifier,
    slot,
    values,
)
from tests.registry.violations import METADATA, MISMATCH, Violation, registered
from xds.metadata import vocabulary as v
from xds.metadata.attributes import (
    AUTHOR_DATA_TYPES,
    Attribute,
    ClassificationAttribute,
    IdentifierAttribute,
    SlotAttribute,
    SlotListAttribute,
    TextAttribute,
    XmlAttribute,
)
from xds.metadata.objects import (
    Association,
    DocumentEntry,
    Folder,
    MetadataObject,
    SubmissionSet,
)

_PLACES: Final[tuple[tuple[type[MetadataObject], str, str, str], ...]] = (
    (DocumentEntry, "iti42/comprehensive_document", DOCUMENT_ENTRY, "document"),
    (SubmissionSet, "iti42/comprehensive_document", SUBMISSION_SET, "submission-set"),
    (Folder, "iti42/folder", FOLDER, "folder"),
    (Association, "iti42/folder", association("member-document"), "member-document"),
)
"""Where each kind of object is found with all its attributes: fixture, path and id."""

_WRONG: Final = {
    "CX": "4711",
    "CXi": "ACC-9",
    "DTM": "2026030",
    "DocumentAvailability": "Online",
    "IntendedRecipient": "||",
    "Language": "Swiss German",
    "MimeType": "PDF",
    "OID": "2.999.01",
    "UniqueOID": "2.999.01",
    "OIDURN": "2.999.1.4",
    "SHA1": "0d4fd3e8",
    "Size": "20 KB",
    "SourcePatientInfo": "Meier^Lena",
    "SubmissionSetStatus": "original",
    "UUID": "urn:uuid:0000",
    "XCN": "^^Elena",
}
"""A value that each data type refuses."""


def _path(path: str, declared: Attribute[Any]) -> str | None:
    """Return where the fixture's object holds an attribute, None for an XML attribute."""
    match declared:
        case SlotAttribute() | SlotListAttribute():
            return slot(path, declared.slot_name)
        case IdentifierAttribute():
            return identifier(path, declared.scheme)
        case ClassificationAttribute():
            return classification(path, declared.scheme)
        case TextAttribute():
            return f"{path}/rim:{declared.field.title()}"
    return None


def _given(path: str, declared: Attribute[Any], value: str | None) -> Edit:
    """Return the change of an attribute to one value, or its removal."""
    if isinstance(declared, XmlAttribute):
        return attribute(path, declared.xml, value)
    place = _path(path, declared)
    assert place is not None
    if value is None:
        return edits.remove(place)
    if isinstance(declared, IdentifierAttribute):
        return attribute(place, "value", value)
    return values(place, value)


def _declared() -> Iterator[tuple[str, Attribute[Any], str, str, str]]:
    for kind, fixture, path, identity in _PLACES:
        for declared in kind.attributes().values():
            yield f"{kind.KIND}.{declared.tf_name}", declared, fixture, path, identity


def _required() -> Iterator[Violation]:
    for name, declared, fixture, path, identity in _declared():
        if "ITI-42" in declared.required_in:
            yield Violation(
                name=f"no {name}",
                rule="required",
                fixture=fixture,
                edit=_given(path, declared, None),
                code=METADATA,
                words=(f"{declared.tf_name} is required",),
                at=identity,
                also=(METADATA,) if declared.tf_name == "objectType" else (),
            )


def _once(path: str, declared: Attribute[Any]) -> Edit | None:
    if not declared.single or isinstance(declared, XmlAttribute | TextAttribute):
        return None
    place = _path(path, declared)
    assert place is not None
    is_slot = isinstance(declared, SlotAttribute)
    return edits.another_value(place) if is_slot else edits.repeat(place)


_OF_OTHERS: Final = {
    "documentation",
    "PreviousVersion",
    "AssociationPropagation",
    "message",
    "OriginalStatus",
    "NewStatus",
    "form",  # of On-Demand entries that the repository registers itself
}


def _cardinality() -> Iterator[Violation]:
    for name, declared, fixture, path, identity in _declared():
        if declared.tf_name in _OF_OTHERS:
            continue  # no membership has it: see below, and breaches_of_updates
        if (edit := _once(path, declared)) is not None:
            yield Violation(
                name=f"two of {name}",
                rule="cardinality",
                fixture=fixture,
                edit=edit,
                code=METADATA,
                words=(f"{declared.tf_name} may stand once, stands 2 times",),
                at=identity,
            )


_BESIDES: Final = {
    "patientId": (MISMATCH,),  # of the SubmissionSet and its object
    "logicalID": (METADATA,),  # it is not the object's id either
    "SubmissionSetStatus": (METADATA,),  # and the status is not the one that fits
}


def _data_types() -> Iterator[Violation]:
    for name, declared, fixture, path, identity in _declared():
        if declared.data_type in (None, "Identifier"):
            continue  # any text is an Identifier; the schema bounds it, and one of blanks is absent
        also = _BESIDES.get(declared.tf_name, ())
        yield Violation(
            name=f"wrong {name}",
            rule="data_types",
            fixture=fixture,
            edit=_given(path, declared, _WRONG[declared.data_type]),
            code=METADATA,
            words=(f"{declared.tf_name}: n",),
            at=identity,
            also=also,
        )


_CLASS_CODE: Final = classification(DOCUMENT_ENTRY, v.DOCUMENT_ENTRY_CLASS_CODE)
_AUTHOR: Final = classification(DOCUMENT_ENTRY, v.DOCUMENT_ENTRY_AUTHOR)
_SENDER: Final = classification(SUBMISSION_SET, v.SUBMISSION_SET_AUTHOR)
_DOCUMENTATION: Final = classification(association("relation"), v.ASSOCIATION_DOCUMENTATION)
_CODED: Final = (
    ("DocumentEntry.confidentialityCode", DOCUMENT_ENTRY, v.DOCUMENT_ENTRY_CONFIDENTIALITY_CODE),
    ("DocumentEntry.eventCodeList", DOCUMENT_ENTRY, v.DOCUMENT_ENTRY_EVENT_CODE_LIST),
    ("SubmissionSet.contentTypeCode", SUBMISSION_SET, v.SUBMISSION_SET_CONTENT_TYPE_CODE),
    ("Folder.codeList", FOLDER, v.FOLDER_CODE_LIST),
)


def _codes() -> Iterator[Violation]:
    for name, edit, words in (
        ("without code", attribute(_CLASS_CODE, "nodeRepresentation", None), "nodeRepresentation"),
        ("with empty code", attribute(_CLASS_CODE, "nodeRepresentation", ""), "nodeRepresentation"),
        ("without scheme", edits.remove(slot(_CLASS_CODE, "codingScheme")), "codingScheme"),
        ("with empty scheme", values(slot(_CLASS_CODE, "codingScheme"), " "), "codingScheme"),
        ("of two schemes", values(slot(_CLASS_CODE, "codingScheme"), "1", "2"), "codingScheme"),
        ("without name", edits.remove(f"{_CLASS_CODE}/rim:Name"), "displayName"),
        (
            "with empty name",
            attribute(f"{_CLASS_CODE}/rim:Name/rim:LocalizedString", "value", ""),
            "displayName",
        ),
    ):
        yield Violation(
            name=f"a code {name}",
            rule="codes",
            edit=edit,
            code=METADATA,
            words=("classCode", words),
        )
    for name, path, scheme in _CODED:
        kind, _, attribute_name = name.partition(".")
        yield Violation(
            name=f"a code without scheme in {name}",
            rule="codes",
            fixture="iti42/folder" if path == FOLDER else "iti42/comprehensive_document",
            edit=edits.remove(slot(f"{classification(path, scheme)}[1]", "codingScheme")),
            code=METADATA,
            words=(attribute_name, "codingScheme"),
            at={"DocumentEntry": "document", "SubmissionSet": "submission-set"}.get(kind, "folder"),
        )


def _author(name: str, edit: Edit, *words: str, at: str = "document") -> Violation:
    return Violation(name=name, rule="authors", edit=edit, code=METADATA, words=words, at=at)


_ROWS: Final = (
    Violation(
        name="two of Association.documentation",
        rule="cardinality",
        fixture="iti42/signature",
        before=(registered("iti42/preassigned_uuids"),),
        edit=both(edits.repeat(_DOCUMENTATION), edits.replace(v.SIGNS, v.APND)),
        code=METADATA,
        words=("documentation may stand once, stands 2 times",),
        at="relation",
    ),
    Violation(
        name="an empty slot where a value is required",
        rule="required",
        edit=values(slot(DOCUMENT_ENTRY, "languageCode")),
        code=METADATA,
        words=("languageCode is required",),
    ),
    Violation(
        name="an empty value where one is required",
        rule="required",
        edit=values(slot(DOCUMENT_ENTRY, "sourcePatientId"), ""),
        code=METADATA,
        words=("sourcePatientId is required",),
    ),
    Violation(
        name="a day that the month does not have",
        rule="data_types",
        edit=values(slot(DOCUMENT_ENTRY, "creationTime"), "20260230"),
        code=METADATA,
        words=("creationTime", "no such day"),
    ),
    Violation(
        name="a wrong value among good ones",
        rule="data_types",
        edit=values(slot(SUBMISSION_SET, "intendedRecipient"), "|^Lindqvist^Per", "||"),
        code=METADATA,
        words=("intendedRecipient",),
        at="submission-set",
    ),
    Violation(
        name="an On-Demand DocumentEntry",
        rule="object_types",
        edit=attribute(DOCUMENT_ENTRY, "objectType", v.ON_DEMAND_DOCUMENT_ENTRY),
        code=METADATA,
        words=("objectType", "Stable", "ITI-42"),
    ),
    Violation(
        name="a second birth date",
        rule="source_patient_infos",
        edit=values(slot(DOCUMENT_ENTRY, "sourcePatientInfo"), "PID-7|1961", "PID-7|1962"),
        code=METADATA,
        words=("sourcePatientInfo", "PID-7"),
    ),
    Violation(
        name="serviceStopTime before serviceStartTime",
        rule="service_times",
        edit=values(slot(DOCUMENT_ENTRY, "serviceStopTime"), "20260228"),
        code=METADATA,
        words=("serviceStartTime", "serviceStopTime"),
    ),
    Violation(
        name="a code outside the value set",
        rule="codes_of_the_domain",
        edit=attribute(_CLASS_CODE, "nodeRepresentation", "poem"),
        code=METADATA,
        words=("classCode", "poem^^2.999.5.1"),
        server="domain",
    ),
    Violation(
        name="a code of another scheme",
        rule="codes_of_the_domain",
        edit=values(slot(_CLASS_CODE, "codingScheme"), "2.999.5.2"),
        code=METADATA,
        words=("classCode", "report^^2.999.5.2"),
        server="domain",
    ),
    Violation(
        name="a mime type that the domain does not allow",
        rule="mime_types_of_the_domain",
        edit=attribute(DOCUMENT_ENTRY, "mimeType", "application/x-dosexec"),
        code=METADATA,
        words=("mimeType", "application/x-dosexec"),
        server="domain",
    ),
    _author(
        "an author with a code",
        attribute(_AUTHOR, "nodeRepresentation", "author"),
        "author",
        "nodeRepresentation",
    ),
    _author(
        "an author who is nobody",
        edits.remove(*(slot(_AUTHOR, name) for name in AUTHOR_DATA_TYPES)),
        "author",
        "authorTelecommunication is required",
    ),
    _author(
        "an author of two persons",
        edits.another_value(slot(_AUTHOR, "authorPerson")),
        "authorPerson may have one value",
    ),
    _author(
        "an author without name and id", values(slot(_AUTHOR, "authorPerson"), "^^Elena"), "XCN"
    ),
    _author(
        "an institution without name", values(slot(_AUTHOR, "authorInstitution"), "^^^^"), "XON"
    ),
    _author(
        "an institution whose id is of nobody",
        values(slot(_SENDER, "authorInstitution"), "Cardiology^^^^^^^^^W3"),
        "XON",
        "requires",
        at="submission-set",
    ),
    _author(
        "a telephone without number",
        values(slot(_SENDER, "authorTelecommunication"), "^WPN^PH^^41^31"),
        "XTN",
        "number",
        at="submission-set",
    ),
)


VIOLATIONS: Final = (*_required(), *_cardinality(), *_data_types(), *_codes(), *_ROWS)
