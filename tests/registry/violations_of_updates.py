"""Breaches of the rules of updates: ITI-57 and ITI-92."""

from functools import partial
from typing import Final

from tests.registry import edits
from tests.registry.edits import (
    DOCUMENT_ENTRY,
    FOLDER,
    SUBMISSION_SET,
    Edit,
    association,
    attribute,
    both,
    identifier,
    remove,
    replace,
    slot,
    values,
)
from tests.registry.violations import METADATA, UNRESOLVED, Violation, registered
from xds.metadata import vocabulary as v

OPERATION: Final = "XDSMetadataUpdateOperationError"
UPDATE: Final = "XDSMetadataUpdateError"
VERSION: Final = "XDSMetadataVersionError"
IDENTIFIER: Final = "XDSMetadataIdentifierError"
RECONCILIATION: Final = "XDSPatientIDReconciliationError"
FIRST: Final = "XDSInvalidRequestException"
OBJECT_TYPE: Final = "XDSObjectTypeError"
ANNOTATION: Final = "XDSMetadataAnnotationError"
UNMODIFIABLE: Final = "UnmodifiableMetadataError"
POLICY: Final = "LocalPolicyRestrictionError"
COMMUNITY: Final = "XDSUnknownCommunity"

_UUID: Final = "urn:uuid:00000000-0000-4000-8000-0000000000"
_REPORT, _IMAGE, _OTHER, _HEART, _LUNG = (f"{_UUID}{n}" for n in (10, 11, 14, 20, 21))
_REGISTERED: Final = (registered("iti42/preassigned_uuids"),)
_UPDATED: Final = (*_REGISTERED, registered("iti57/document_version"))
_DEPRECATED: Final = (*_REGISTERED, registered("iti57/statuses"))
_ON_DEMAND: Final = (*_REGISTERED, registered("iti61/on_demand_document"))

_update = partial(
    Violation,
    fixture="iti57/document_version",
    before=_REGISTERED,
    transaction="ITI-57",
    server="updates",
)
_folder = partial(_update, fixture="iti57/folder_version", at="folder")
_status = partial(_update, fixture="iti57/statuses", at="status-document")
_new = partial(_update, fixture="iti57/new_associations", at="membership")
_restricted = partial(
    Violation,
    fixture="iti92/document_version",
    before=_REGISTERED,
    transaction="ITI-92",
    server="updates",
)
_MEMBER: Final = association("member-document")
_PREVIOUS: Final = slot(_MEMBER, "PreviousVersion")
_PROPAGATION: Final = slot(_MEMBER, "AssociationPropagation")
_UNIQUE_ID: Final = identifier(DOCUMENT_ENTRY, v.DOCUMENT_ENTRY_UNIQUE_ID)
_PATIENT: Final = "P2^^^&2.999.1.1&ISO"


def _again(number: str) -> Edit:
    """Give the SubmissionSet a uniqueId of its own."""
    path = identifier(SUBMISSION_SET, v.SUBMISSION_SET_UNIQUE_ID)
    return attribute(path, "value", f"2.999.2.{number}")


def _of_patient(*paths: str) -> Edit:
    return both(*(attribute(path, "value", _PATIENT) for path in paths))


_SET_PATIENT: Final = identifier(SUBMISSION_SET, v.SUBMISSION_SET_PATIENT_ID)
_ENTRY_PATIENT: Final = identifier(DOCUMENT_ENTRY, v.DOCUMENT_ENTRY_PATIENT_ID)
_FOLDER_PATIENT: Final = identifier(FOLDER, v.FOLDER_PATIENT_ID)


def _trigger(identifier: str, target: str, original: str, new: str) -> Edit:
    def slot_of(name: str, value: str) -> str:
        listed = f"<rim:ValueList><rim:Value>{value}</rim:Value></rim:ValueList>"
        return f'<rim:Slot name="{name}">{listed}</rim:Slot>'

    return edits.add_object(
        f'<rim:Association id="{identifier}" associationType="{v.UPDATE_AVAILABILITY_STATUS}" '
        f'sourceObject="submission-set" targetObject="{target}">'
        f"{slot_of('OriginalStatus', original)}{slot_of('NewStatus', new)}</rim:Association>"
    )


_OPERATIONS: Final = (
    _update(
        name="an object that asks for nothing",
        rule="operations",
        edit=remove(_MEMBER),
        code=OPERATION,
        words=("DocumentEntry document", "has 0"),
    ),
    _update(
        name="a SubmissionSet alone",
        rule="operations",
        edit=remove(DOCUMENT_ENTRY, _MEMBER),
        code=OPERATION,
        words=("SubmissionSet submission-set", "asks for no operation"),
        at="submission-set",
    ),
    _new(
        name="an Association that nobody submits",
        rule="operations",
        edit=remove(association("submits-membership")),
        code=OPERATION,
        words=("membership", "has 0"),
    ),
    _new(
        name="an Association that is submitted twice",
        rule="operations",
        edit=edits.repeat(association("submits-membership"), id="again"),
        code=OPERATION,
        words=("membership", "has 2"),
    ),
    _new(
        name="SubmitAssociation of a document",
        rule="operations",
        edit=attribute(association("submits-relation"), "targetObject", _OTHER),
        code=OPERATION,
        words=(_OTHER, "is no submitted Association"),
        at="submits-relation",
        also=(OPERATION,),
    ),
    _status(
        name="a change of a status that no SubmissionSet asks for",
        rule="operations",
        edit=attribute(association("status-document"), "sourceObject", _HEART),
        code=OPERATION,
        words=("sourceObject must be the SubmissionSet",),
    ),
    _update(
        name="no PreviousVersion",
        rule="annotated_versions",
        edit=remove(_PREVIOUS),
        code=OPERATION,
        words=("PreviousVersion",),
    ),
    _status(
        name="two changes of one status",
        rule="one_change_of_each",
        edit=edits.repeat(association("status-document"), id="again"),
        code=UPDATE,
        words=("several changes", _OTHER),
    ),
    _update(
        name="two versions of one document",
        rule="one_change_of_each",
        edit=both(
            edits.copy_as(DOCUMENT_ENTRY, {"document": "second"}),
            edits.copy_as(_MEMBER, {"document": "second", "member-document": "member-second"}),
        ),
        code=UPDATE,
        words=("several versions", _REPORT),
        also=("XDSRegistryDuplicateUniqueIdInMessage",),
    ),
    _update(
        name="two of PreviousVersion",
        rule="cardinality",
        edit=edits.another_value(_PREVIOUS),
        code=METADATA,
        words=("PreviousVersion may stand once",),
        at="member-document",
    ),
)

_VERSIONS: Final = (
    _update(
        name="no logicalID",
        rule="later_version",
        edit=attribute(DOCUMENT_ENTRY, "lid", None),
        code=FIRST,
        words=("logicalID is required",),
    ),
    _folder(
        name="a new Folder",
        rule="later_version",
        edit=both(
            attribute(FOLDER, "lid", None),
            attribute(identifier(FOLDER, v.FOLDER_UNIQUE_ID), "value", "2.999.4.29"),
        ),
        code=FIRST,
        words=("Folder folder", "logicalID is required"),
    ),
    _update(
        name="a logicalID that is the entryUUID",
        rule="later_version",
        edit=both(
            replace("document", f"{_UUID}70"),
            attribute("//rim:ExtrinsicObject", "lid", f"{_UUID}70"),
        ),
        code=FIRST,
        words=("not the object's own",),
        at=f"{_UUID}70",
    ),
    _update(
        name="a logicalID that nobody has",
        rule="registered_logical_objects",
        edit=attribute(DOCUMENT_ENTRY, "lid", f"{_UUID}99"),
        code=UNRESOLVED,
        words=(f"{_UUID}99",),
    ),
    _update(
        name="a version that is not the latest",
        rule="latest_previous_version",
        before=_UPDATED,
        edit=_again("570"),
        code=VERSION,
        words=("PreviousVersion 1", "latest version 2"),
    ),
    _update(
        name="a version that there is not",
        rule="latest_previous_version",
        edit=values(_PREVIOUS, "7"),
        code=VERSION,
        words=("PreviousVersion 7", "latest version 1"),
    ),
    _update(
        name="another uniqueId",
        rule="same_identifiers",
        edit=attribute(_UNIQUE_ID, "value", "2.999.3.77"),
        code=IDENTIFIER,
        words=("uniqueId 2.999.3.77",),
    ),
    _update(
        name="the logicalID of a Folder",
        rule="same_identifiers",
        edit=attribute(DOCUMENT_ENTRY, "lid", _HEART),
        code=IDENTIFIER,
        words=(_HEART, "Folder"),
    ),
    _update(
        name="a Stable document that becomes an On-Demand one",
        rule="same_object_type",
        edit=both(
            attribute(DOCUMENT_ENTRY, "objectType", v.ON_DEMAND_DOCUMENT_ENTRY),
            remove(*(slot(DOCUMENT_ENTRY, one) for one in ("creationTime", "hash", "size"))),
        ),
        code=IDENTIFIER,
        words=("objectType",),
    ),
    _folder(
        name="a further version of a deprecated Folder",
        rule="approved_folder_versions",
        before=_DEPRECATED,
        edit=both(
            attribute(FOLDER, "lid", _LUNG),
            attribute(identifier(FOLDER, v.FOLDER_UNIQUE_ID), "value", "2.999.4.21"),
        ),
        code=UPDATE,
        words=(_LUNG, "deprecated"),
    ),
    _update(
        name="AssociationPropagation that is neither yes nor no",
        rule="propagation",
        edit=values(_PROPAGATION, "perhaps"),
        code=UPDATE,
        words=("AssociationPropagation perhaps",),
    ),
    _update(
        name="AssociationPropagation that differs between Folder and document",
        rule="propagation",
        fixture="iti57/folder_and_document_versions",
        edit=edits.add_slot(_MEMBER, "AssociationPropagation", "no"),
        code=UPDATE,
        words=("AssociationPropagation differs", "document"),
        at="folder",
    ),
)

_STATUSES: Final = (
    _status(
        name="a status that is not the present one",
        rule="status_changes",
        edit=values(slot(association("status-document"), "OriginalStatus"), v.DEPRECATED),
        code=UPDATE,
        words=("has not the OriginalStatus",),
    ),
    _status(
        name="a status that there is not",
        rule="status_changes",
        edit=values(slot(association("status-document"), "NewStatus"), "urn:example:Gone"),
        code=UPDATE,
        words=("NewStatus must be one of",),
    ),
    _status(
        name="a document that is replaced becomes Approved again",
        rule="not_replaced",
        before=(*_REGISTERED, registered("iti42/replacement")),
        edit=both(
            attribute(association("status-document"), "targetObject", _REPORT),
            values(slot(association("status-document"), "OriginalStatus"), v.DEPRECATED),
            values(slot(association("status-document"), "NewStatus"), v.APPROVED),
        ),
        code=UPDATE,
        words=(_REPORT, "is replaced"),
    ),
    _status(
        name="the status of a SubmissionSet",
        rule="status_changes",
        edit=attribute(association("status-document"), "targetObject", f"{_UUID}01"),
        code=UPDATE,
        words=("SubmissionSet", "never changes"),
    ),
    _status(
        name="the status of a SubmissionSet's membership",
        rule="status_changes",
        edit=attribute(association("status-document"), "targetObject", f"{_UUID}34"),
        code=UPDATE,
        words=("Association of a SubmissionSet",),
    ),
    _status(
        name="the status of a version that is not the latest",
        rule="status_changes",
        before=_UPDATED,
        edit=both(
            attribute(association("status-document"), "targetObject", _REPORT),
            values(slot(association("status-document"), "OriginalStatus"), v.DEPRECATED),
        ),
        code=UPDATE,
        words=("is not the latest version",),
    ),
    _status(
        name="the status of what nobody has",
        rule="references_resolve",
        edit=attribute(association("status-document"), "targetObject", f"{_UUID}99"),
        code=UNRESOLVED,
        words=(f"{_UUID}99",),
    ),
)

_ASSOCIATIONS: Final = (
    _new(
        name="a Folder in a Folder",
        rule="has_member_ends",
        edit=attribute(association("membership"), "targetObject", _HEART),
        code=METADATA,
        words=("cannot go from Folder to Folder",),
    ),
    _new(
        name="an addendum to a Folder",
        rule="submitted_ends",
        edit=attribute(association("relation"), "targetObject", _HEART),
        code=UPDATE,
        words=("cannot go from DocumentEntry to Folder",),
        at="relation",
    ),
    _new(
        name="a membership of the SubmissionSet itself",
        rule="submitted_ends",
        edit=both(
            attribute(association("membership"), "sourceObject", "submission-set"),
            edits.add_slot(association("membership"), "SubmissionSetStatus", "Reference"),
        ),
        code=UPDATE,
        words=("Association membership", "nothing to the SubmissionSet itself"),
    ),
    _new(
        name="a membership of a deprecated document",
        rule="no_deprecated_ends",
        before=_UPDATED,
        edit=attribute(association("membership"), "targetObject", _REPORT),
        code=UPDATE,
        words=("Association membership", f"DocumentEntry {_REPORT} is deprecated"),
        also=(UPDATE,),
    ),
    _new(
        name="an Association that nobody can add",
        rule="association_types",
        edit=attribute(association("relation"), "associationType", "urn:example:Likes"),
        code=METADATA,
        words=("urn:example:Likes",),
        at="relation",
    ),
    _new(
        name="a membership of what nobody has",
        rule="references_resolve",
        edit=attribute(association("membership"), "targetObject", f"{_UUID}99"),
        code=UNRESOLVED,
        words=(f"{_UUID}99",),
    ),
)

_REPORT_ALONE: Final = both(
    remove(*(association(f"status-{one}") for one in ("folder", "membership", "relation"))),
    attribute(association("status-document"), "targetObject", _REPORT),
)
_ELSEWHERE: Final = both(
    _again("95"),
    attribute(_UNIQUE_ID, "value", "2.999.3.95"),
    _of_patient(_SET_PATIENT, _ENTRY_PATIENT),
    replace("member-document", "member"),
    replace("document", f"{_UUID}95"),
)
_PATIENTS: Final = (
    _update(
        name="a document that goes to another patient, and its Folder does not",
        rule="reconciled_patients",
        edit=_of_patient(_SET_PATIENT, _ENTRY_PATIENT),
        code=RECONCILIATION,
        words=("joins patientId P1^^^&2.999.1.1&ISO with patientId P2^^^&2.999.1.1&ISO",),
    ),
    _update(
        name="a document of another patient that becomes Approved again",
        rule="reconciled_patients",
        before=(*_REGISTERED, registered("iti57/statuses", _REPORT_ALONE)),
        edit=both(
            _of_patient(_SET_PATIENT, _ENTRY_PATIENT),
            _trigger("status", "document", v.DEPRECATED, v.APPROVED),
        ),
        code=RECONCILIATION,
        words=("joins patientId P1^^^&2.999.1.1&ISO with patientId P2^^^&2.999.1.1&ISO",),
    ),
    _new(
        name="a membership of another patient's document",
        rule="reconciled_patients",
        before=(*_REGISTERED, registered("iti42/minimal_document", _ELSEWHERE)),
        edit=attribute(association("membership"), "targetObject", f"{_UUID}95"),
        code=RECONCILIATION,
        words=("joins patientId P1^^^&2.999.1.1&ISO with patientId P2^^^&2.999.1.1&ISO",),
    ),
    _update(
        name="a document of another patient than the SubmissionSet",
        rule="one_patient",
        edit=both(_of_patient(_ENTRY_PATIENT), values(_PROPAGATION, "no")),
        code=RECONCILIATION,
        words=("is not the SubmissionSet's",),
    ),
    _update(
        name="a document that goes to another patient, and its twin does not",
        rule="patient_of_document",
        before=(
            *_REGISTERED,
            registered(
                "iti42/minimal_document",
                both(_again("90"), attribute(_UNIQUE_ID, "value", "2.999.3.10")),
            ),
        ),
        edit=both(_of_patient(_SET_PATIENT, _ENTRY_PATIENT), values(_PROPAGATION, "no")),
        code=RECONCILIATION,
        words=("is not that of the document registered",),
    ),
)

_RESTRICTED: Final = (
    _restricted(
        name="another community",
        rule="home_of_community",
        edit=attribute(DOCUMENT_ENTRY, "home", "urn:oid:2.999.1.41"),
        code=COMMUNITY,
        words=("urn:oid:2.999.1.41",),
    ),
    _restricted(
        name="no propagation",
        rule="propagates_always",
        edit=values(_PROPAGATION, "no"),
        code=ANNOTATION,
        words=("AssociationPropagation no",),
    ),
    _restricted(
        name="a Folder",
        rule="only_document_entries",
        fixture="iti92/document_version",
        edit=edits.add_object(
            f'<rim:Association id="extra" associationType="{v.HAS_MEMBER}" '
            f'sourceObject="{_LUNG}" targetObject="{_OTHER}"/>'
        ),
        code=OBJECT_TYPE,
        words=("only DocumentEntries",),
        at="extra",
    ),
    _restricted(
        name="nothing at all",
        rule="only_document_entries",
        edit=remove(DOCUMENT_ENTRY, _MEMBER),
        code=OBJECT_TYPE,
        words=("brings no DocumentEntry",),
        at="submission-set",
    ),
    _restricted(
        name="a Stable document that becomes an On-Demand one",
        rule="same_object_type",
        edit=both(
            attribute(DOCUMENT_ENTRY, "objectType", v.ON_DEMAND_DOCUMENT_ENTRY),
            remove(*(slot(DOCUMENT_ENTRY, one) for one in ("creationTime", "hash", "size"))),
        ),
        code=OBJECT_TYPE,
        words=("objectType",),
        also=(UNMODIFIABLE,) * 2,
    ),
    _restricted(
        name="no logicalID",
        rule="later_version",
        edit=attribute(DOCUMENT_ENTRY, "lid", None),
        code=FIRST,
        words=("logicalID is required",),
    ),
    _restricted(
        name="a logicalID that nobody has",
        rule="registered_logical_objects",
        edit=attribute(DOCUMENT_ENTRY, "lid", f"{_UUID}99"),
        code=UNRESOLVED,
        words=(f"{_UUID}99",),
    ),
    _restricted(
        name="no PreviousVersion",
        rule="stated_previous_version",
        edit=remove(_PREVIOUS),
        code=VERSION,
        words=("has no PreviousVersion",),
    ),
    _restricted(
        name="a version that is not the latest",
        rule="latest_previous_version",
        before=_UPDATED,
        edit=values(_PREVIOUS, "1"),
        code=VERSION,
        words=("PreviousVersion 1", "latest version 2"),
    ),
    _restricted(
        name="another uniqueId",
        rule="same_identifiers",
        edit=attribute(_UNIQUE_ID, "value", "2.999.3.77"),
        code=IDENTIFIER,
        words=("uniqueId 2.999.3.77",),
    ),
    _restricted(
        name="another patient",
        rule="same_patient",
        edit=_of_patient(_SET_PATIENT, _ENTRY_PATIENT),
        code=RECONCILIATION,
        words=("is not that of the version before",),
        also=(RECONCILIATION,),
    ),
    *(
        _restricted(
            name=f"another {name}",
            rule="unmodified",
            edit=values(slot(DOCUMENT_ENTRY, name), value),
            code=UNMODIFIABLE,
            words=(f"{name} must not be changed",),
        )
        for name, value in (
            ("repositoryUniqueId", "2.999.1.33"),
            ("sourcePatientId", "H-402^^^&2.999.1.2&ISO"),
            ("hash", "0" * 40),
            ("size", "1"),
        )
    ),
    _restricted(
        name="another documentAvailability",
        rule="unmodified",
        edit=edits.add_slot(DOCUMENT_ENTRY, "documentAvailability", v.OFFLINE),
        code=UNMODIFIABLE,
        words=("documentAvailability must not be changed",),
    ),
    _restricted(
        name="another availabilityStatus",
        rule="unmodified",
        edit=attribute(DOCUMENT_ENTRY, "status", v.DEPRECATED),
        code=UNMODIFIABLE,
        words=("availabilityStatus must not be changed",),
    ),
    _restricted(
        name="an attribute that the domain excludes",
        rule="changeable_here",
        edit=values(slot(DOCUMENT_ENTRY, "languageCode"), "de-CH"),
        code=POLICY,
        words=("languageCode is not to be changed",),
    ),
)

VIOLATIONS: Final = (*_OPERATIONS, *_VERSIONS, *_STATUSES, *_ASSOCIATIONS, *_PATIENTS, *_RESTRICTED)
