"""Violations of the schema and of the rules of structure (ITI TF-3 4.1.4, 4.2)."""

from functools import partial
from typing import Final

from tests.registry import edits
from tests.registry.edits import (
    DOCUMENT_ENTRY,
    FOLDER,
    SUBMISSION_SET,
    association,
    attribute,
    both,
    classification,
    has_member,
    identifier,
    node,
    slot,
    values,
)
from tests.registry.violations import METADATA, SCHEMA, UNRESOLVED, Violation, registered
from xds.metadata import vocabulary as v

_UUID: Final = "urn:uuid:00000000-0000-4000-8000-0000000000"
_REGISTERED: Final = (registered("iti42/preassigned_uuids"),)

_violation = partial(Violation, code=METADATA, fixture="iti42/folder")


def _classification(kind: str, owner: str, value: str) -> str:
    return f'<rim:Classification id="odd" classifiedObject="{owner}" {kind}="{value}"/>'


def _schema(name: str, edit: edits.Edit, *words: str) -> Violation:
    return Violation(name=name, rule=SCHEMA, edit=edit, code=METADATA, words=words, at="")


_OF_THE_SCHEMA: Final = (
    _schema("no id", attribute(association("member-document"), "id", None), "Association", "id"),
    _schema("an unknown attribute", attribute(DOCUMENT_ENTRY, "colour", "red"), "colour"),
    _schema(
        "a Slot without name",
        attribute(slot(DOCUMENT_ENTRY, "languageCode"), "name", None),
        "Slot",
        "name",
    ),
    _schema(
        "a Slot after the Name",
        edits.add(DOCUMENT_ENTRY, '<rim:Slot name="urn:example:late"><rim:ValueList/></rim:Slot>'),
        "Slot",
        "not expected",
    ),
    _schema(
        "a value that is too long",
        values(slot(DOCUMENT_ENTRY, "URI"), "x" * 257),
        "Value",
        "256",
    ),
    _schema(
        "a title that is too long",
        attribute(f"{DOCUMENT_ENTRY}/rim:Name/rim:LocalizedString", "value", "x" * 1025),
        "LocalizedString",
        "1024",
    ),
    _schema(
        "no value of an ExternalIdentifier",
        attribute(identifier(DOCUMENT_ENTRY, v.DOCUMENT_ENTRY_UNIQUE_ID), "value", None),
        "ExternalIdentifier",
        "value",
    ),
)

_OF_OBJECTS: Final = (
    _violation(
        name="a list of objects within a package",
        rule="only_xds_objects",
        edit=edits.add(FOLDER, "<rim:RegistryObjectList/>"),
        words=("rim:RegistryObjectList has no place",),
        at="",
    ),
    _violation(
        name="an object that XDS does not know",
        rule="only_xds_objects",
        edit=edits.add_object('<rim:Service id="service"/>'),
        words=("rim:Service",),
        at="service",
    ),
    _violation(
        name="a package that is neither SubmissionSet nor Folder",
        rule="only_xds_objects",
        fixture="iti42/sibling_classifications",
        edit=edits.remove(
            "//rim:RegistryObjectList/rim:Classification[@classifiedObject='folder']"
        ),
        words=("RegistryPackage folder", "Classification"),
        at="folder",
        also=(UNRESOLVED, METADATA),
    ),
    _violation(
        name="a package that is both SubmissionSet and Folder",
        rule="only_xds_objects",
        fixture="iti42/sibling_classifications",
        edit=edits.before(
            "//rim:RegistryPackage",
            _classification("classificationNode", "folder", v.SUBMISSION_SET_NODE),
        ),
        words=("RegistryPackage folder", "exactly one"),
        at="folder",
        also=(UNRESOLVED, METADATA),
    ),
    _violation(
        name="the type of a package that is not there",
        rule="only_xds_objects",
        edit=edits.add_object(_classification("classificationNode", "nobody", v.FOLDER_NODE)),
        words=("classifiedObject",),
        at="odd",
    ),
    _violation(
        name="no SubmissionSet",
        rule="one_submission_set",
        fixture="iti42/minimal_document",
        edit=edits.remove(SUBMISSION_SET, association("member-document")),
        words=("there is no SubmissionSet",),
        at="",
        also=(METADATA,),
    ),
    _violation(
        name="two SubmissionSets",
        rule="one_submission_set",
        edit=edits.copy_as(
            SUBMISSION_SET, {"submission-set": "second-set", "2.999.2.1": "2.999.2.9"}
        ),
        words=("exactly one SubmissionSet",),
        at="second-set",
    ),
    _violation(
        name="a SubmissionSet of nothing",
        rule="something_to_share",
        fixture="iti42/minimal_document",
        edit=edits.remove(DOCUMENT_ENTRY, association("member-document")),
        words=("no DocumentEntry, Folder or Folder membership",),
        at="submission-set",
    ),
    _violation(
        name="one id of two objects",
        rule="distinct_ids",
        edit=attribute(association("member-folder"), "id", "member-document"),
        words=("id", "several"),
        at="member-document",
    ),
    _violation(
        name="a classifiedObject that is another object",
        rule="parts_name_their_owner",
        edit=attribute(
            classification(DOCUMENT_ENTRY, v.DOCUMENT_ENTRY_TYPE_CODE), "classifiedObject", "folder"
        ),
        words=("Classification", "classifiedObject"),
    ),
    _violation(
        name="a package whose type is said of another",
        rule="parts_name_their_owner",
        edit=attribute(node(FOLDER), "classifiedObject", "empty-folder"),
        words=("Classification", "classifiedObject"),
        at="folder",
    ),
    _violation(
        name="a registryObject that is another object",
        rule="parts_name_their_owner",
        edit=attribute(
            identifier(DOCUMENT_ENTRY, v.DOCUMENT_ENTRY_PATIENT_ID), "registryObject", "folder"
        ),
        words=("ExternalIdentifier", "registryObject"),
    ),
    _violation(
        name="a UUID in upper case",
        rule="uuids_in_lower_case",
        edit=attribute(
            association("member-folder"), "id", "urn:uuid:ABCDEF00-0000-4000-8000-000000000001"
        ),
        words=("lower case",),
        at="urn:uuid:ABCDEF00-0000-4000-8000-000000000001",
    ),
    _violation(
        name="an id that only begins as a UUID",
        rule="uuids_in_lower_case",
        edit=attribute(association("member-folder"), "id", "urn:uuid:member-folder"),
        words=("UUID",),
        at="urn:uuid:member-folder",
    ),
    _violation(
        name="a part whose UUID is none",
        rule="uuids_in_lower_case",
        edit=attribute(node(FOLDER), "id", "urn:uuid:1"),
        words=("urn:uuid:1", "UUID"),
        at="folder",
    ),
    _violation(
        name="a later version",
        rule="first_version",
        edit=attribute(DOCUMENT_ENTRY, "lid", f"{_UUID}99"),
        words=("logicalID",),
    ),
    *(
        _violation(
            name=f"a symbolic logicalID of the {kind}",
            rule="first_version",
            edit=attribute(path, "lid", identifier),
            words=("logicalID", "UUID in lower case"),
            at=identifier,
        )
        for kind, path, identifier in (
            ("SubmissionSet", SUBMISSION_SET, "submission-set"),
            ("Association", association("member-document"), "member-document"),
        )
    ),
    _violation(
        name="limitedMetadata of a DocumentEntry",
        rule="limited_metadata",
        server="domain",
        edit=edits.before(
            f"{DOCUMENT_ENTRY}/rim:ExternalIdentifier",
            _classification("classificationNode", "document", v.DOCUMENT_ENTRY_LIMITED_METADATA),
        ),
        words=("limitedMetadata",),
    ),
    _violation(
        name="limitedMetadata of a SubmissionSet",
        rule="limited_metadata",
        server="domain",
        edit=edits.add_object(
            _classification(
                "classificationNode", "submission-set", v.SUBMISSION_SET_LIMITED_METADATA
            )
        ),
        words=("limitedMetadata",),
        at="submission-set",
    ),
    _violation(
        name="limitedMetadata of a Folder",
        rule="limited_metadata",
        server="domain",
        edit=edits.add_object(
            _classification("classificationNode", "folder", v.FOLDER_LIMITED_METADATA)
        ),
        words=("limitedMetadata",),
        at="folder",
    ),
    _violation(
        name="two Slots of one name",
        rule="slot_names",
        edit=edits.repeat(slot(DOCUMENT_ENTRY, "languageCode")),
        words=("languageCode", "2 times"),
    ),
    _violation(
        name="an extra Slot whose name is no URN",
        rule="slot_names",
        edit=edits.add_slot(DOCUMENT_ENTRY, "authorInstitution", "Harbour Hospital"),
        words=("authorInstitution", "URN"),
    ),
    _violation(
        name="an extra Slot whose name only begins as a URN",
        rule="slot_names",
        edit=edits.add_slot(SUBMISSION_SET, "urn:", "W3"),
        words=("urn:", "URN"),
        at="submission-set",
    ),
)

_OF_MEMBERSHIP: Final = (
    _violation(
        name="a DocumentEntry outside the SubmissionSet",
        rule="member_of_submission_set",
        edit=edits.remove(association("member-document")),
        words=("exactly one HasMember", "has 0"),
    ),
    _violation(
        name="a DocumentEntry twice in the SubmissionSet",
        rule="member_of_submission_set",
        edit=edits.repeat(association("member-document"), id="once-more"),
        words=("exactly one HasMember", "has 2"),
    ),
    _violation(
        name="a Folder outside the SubmissionSet",
        rule="member_of_submission_set",
        edit=edits.remove(association("member-empty-folder")),
        words=("exactly one HasMember",),
        at="empty-folder",
    ),
    _violation(
        name="a Folder membership outside the SubmissionSet",
        rule="member_of_submission_set",
        edit=edits.remove(association("member-folder-document")),
        words=("exactly one HasMember",),
        at="folder-document",
    ),
    _violation(
        name="an Association of an unknown type",
        rule="association_types",
        fixture="iti42/several_documents",
        edit=attribute(association("appends"), "associationType", "urn:example:likes"),
        words=("urn:example:likes",),
        at="appends",
    ),
    _violation(
        name="an Association that only an update may bring",
        rule="association_types",
        fixture="iti42/folder_update",
        before=_REGISTERED,
        edit=edits.add_association(
            "update", v.UPDATE_AVAILABILITY_STATUS, "submission-set", f"{_UUID}10"
        ),
        words=("UpdateAvailabilityStatus",),
        at="update",
    ),
    _violation(
        name="a HasMember from a DocumentEntry",
        rule="has_member_ends",
        edit=has_member("odd", "document", "folder"),
        words=("from DocumentEntry to Folder",),
        at="odd",
    ),
    _violation(
        name="a Folder in a Folder",
        rule="has_member_ends",
        edit=both(
            has_member("odd", "folder", "empty-folder"),
            has_member("member-odd", "submission-set", "odd"),
        ),
        words=("from Folder to Folder",),
        at="odd",
    ),
    _violation(
        name="an addition to a registered SubmissionSet",
        rule="has_member_ends",
        fixture="iti42/folder_update",
        before=_REGISTERED,
        edit=has_member("late", f"{_UUID}01", f"{_UUID}14", "Reference"),
        words=("registered SubmissionSet",),
        at="late",
    ),
    _violation(
        name="a SubmissionSet that holds a registered Folder",
        rule="has_member_ends",
        before=_REGISTERED,
        fixture="iti42/folder_update",
        edit=has_member("odd", "submission-set", f"{_UUID}20"),
        words=("registered Folder",),
        at="odd",
    ),
    _violation(
        name="a SubmissionSet that holds a registered Association",
        rule="has_member_ends",
        before=_REGISTERED,
        fixture="iti42/folder_update",
        edit=has_member("odd", "submission-set", f"{_UUID}40"),
        words=("registered Association",),
        at="odd",
    ),
    Violation(
        name="a document that transforms itself",
        rule="distinct_ends",
        code=METADATA,
        fixture="iti42/several_documents",
        edit=attribute(association("transforms"), "sourceObject", "report"),
        words=("sourceObject and targetObject are both report",),
        at="transforms",
        also=(METADATA,),
    ),
    _violation(
        name="a membership without SubmissionSetStatus",
        rule="submission_set_status",
        edit=edits.remove(slot(association("member-document"), "SubmissionSetStatus")),
        words=("SubmissionSetStatus", "Original"),
        at="member-document",
    ),
    _violation(
        name="Reference to a document of the submission",
        rule="submission_set_status",
        edit=values(slot(association("member-document"), "SubmissionSetStatus"), "Reference"),
        words=("SubmissionSetStatus", "Original"),
        at="member-document",
    ),
    _violation(
        name="Original of a registered document",
        rule="submission_set_status",
        fixture="iti42/reference",
        before=_REGISTERED,
        edit=values(slot(association("member-reference"), "SubmissionSetStatus"), "Original"),
        words=("SubmissionSetStatus", "Reference"),
        at="member-reference",
    ),
)

VIOLATIONS: Final = (*_OF_THE_SCHEMA, *_OF_OBJECTS, *_OF_MEMBERSHIP)
