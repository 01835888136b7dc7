"""Violations of the rules that look at what is registered: references, identifiers, patients."""

from functools import partial
from typing import Final

from tests.registry import behind, edits
from tests.registry.edits import (
    DOCUMENT_ENTRY,
    FOLDER,
    SUBMISSION_SET,
    association,
    attribute,
    both,
    has_member,
    identifier,
    replace,
    slot,
    values,
)
from tests.registry.violations import (
    DEPRECATED,
    METADATA,
    MISMATCH,
    UNKNOWN_PATIENT,
    UNRESOLVED,
    Violation,
    registered,
)
from xds.metadata import vocabulary as v

_UUID: Final = "urn:uuid:00000000-0000-4000-8000-0000000000"
_REPORT, _IMAGE, _OTHER = f"{_UUID}10", f"{_UUID}11", f"{_UUID}14"
_HEART, _LUNG = f"{_UUID}20", f"{_UUID}21"
_REGISTERED: Final = (registered("iti42/preassigned_uuids"),)
_REPLACED: Final = (*_REGISTERED, registered("iti42/replacement"))
_UNIQUE_ID: Final = identifier(DOCUMENT_ENTRY, v.DOCUMENT_ENTRY_UNIQUE_ID)
_PATIENT_ID: Final = identifier(DOCUMENT_ENTRY, v.DOCUMENT_ENTRY_PATIENT_ID)

_related = partial(Violation, fixture="iti42/replacement", before=_REGISTERED, at="relation")


def _ends(source: str | None = None, target: str | None = None) -> edits.Edit:
    return both(
        *(
            attribute(association("relation"), name, value)
            for name, value in (("sourceObject", source), ("targetObject", target))
            if value is not None
        )
    )


_OF_REFERENCES: Final = (
    _related(
        name="a target that nobody has",
        rule="references_resolve",
        edit=_ends(target=f"{_UUID}99"),
        code=UNRESOLVED,
        words=("targetObject", f"{_UUID}99"),
    ),
    _related(
        name="a symbolic target outside the submission",
        rule="references_resolve",
        edit=_ends(target="report"),
        code=UNRESOLVED,
        words=("targetObject report",),
    ),
    _related(
        name="a source that nobody has",
        rule="references_resolve",
        edit=_ends(source=f"{_UUID}99"),
        code=UNRESOLVED,
        words=("sourceObject", f"{_UUID}99"),
    ),
    Violation(
        name="Reference to a document that nobody has",
        rule="references_resolve",
        fixture="iti42/reference",
        edit=edits.nothing,
        code=UNRESOLVED,
        words=("targetObject", _REPORT),
        at="member-reference",
    ),
    _related(
        name="a relationship that begins at a registered document",
        rule="relationship_ends",
        edit=_ends(source=_OTHER),
        code=UNRESOLVED,
        words=("sourceObject", _OTHER),
    ),
    _related(
        name="the replacement of a Folder",
        rule="relationship_ends",
        edit=_ends(target=_HEART),
        code=UNRESOLVED,
        words=("targetObject", _HEART),
    ),
    Violation(
        name="the replacement of a document of the submission",
        rule="relationship_ends",
        fixture="iti42/several_documents",
        edit=attribute(association("transforms"), "associationType", v.RPLC),
        code=UNRESOLVED,
        words=("targetObject report", "not yet registered"),
        at="transforms",
    ),
    Violation(
        name="a snapshot of a document of the submission",
        rule="relationship_ends",
        fixture="iti42/several_documents",
        edit=attribute(association("transforms"), "associationType", v.IS_SNAPSHOT_OF),
        code=UNRESOLVED,
        words=("targetObject report", "not yet registered"),
        at="transforms",
        also=(METADATA,),
    ),
    _related(
        name="a snapshot of a Stable document",
        rule="snapshots",
        edit=replace(v.RPLC, v.IS_SNAPSHOT_OF),
        code=METADATA,
        words=("target", "On-Demand"),
    ),
    _related(
        name="an addendum to a registered transformation",
        rule="no_addendum_to_transformation",
        fixture="iti42/addendum",
        edit=_ends(target=_IMAGE),
        code=METADATA,
        words=(_IMAGE, "transformation"),
    ),
    Violation(
        name="an addendum to a transformation of the submission",
        rule="no_addendum_to_transformation",
        fixture="iti42/several_documents",
        edit=attribute(association("appends"), "targetObject", "drawing"),
        code=METADATA,
        words=("drawing", "transformation"),
        at="appends",
    ),
)

_OF_STATUS: Final = (
    *(
        Violation(
            name=f"{name} of a deprecated document",
            rule="approved_documents",
            fixture=f"iti42/{name}",
            before=_REPLACED,
            edit=edits.nothing,
            code=DEPRECATED,
            words=(_REPORT, "deprecated"),
            at="member-reference" if name == "reference" else "relation",
        )
        for name in (
            "addendum",
            "transformation",
            "transformation_and_replacement",
            "signature",
            "reference",
        )
    ),
    Violation(
        name="a second replacement",
        rule="approved_documents",
        fixture="iti42/replacement",
        before=_REPLACED,
        edit=both(replace("2.999.2.2", "2.999.2.9"), replace("2.999.3.32", "2.999.3.39")),
        code=DEPRECATED,
        words=(_REPORT, "deprecated"),
        at="relation",
    ),
    Violation(
        name="a transformation of what went with a replaced document",
        rule="approved_documents",
        fixture="iti42/transformation",
        before=_REPLACED,
        edit=_ends(target=f"{_UUID}13"),
        code=DEPRECATED,
        words=(f"{_UUID}13", "deprecated"),
        at="relation",
    ),
    Violation(
        name="a deprecated document into a Folder",
        rule="approved_documents",
        fixture="iti42/folder_update",
        before=_REPLACED,
        edit=attribute(association("folder-document"), "targetObject", _REPORT),
        code=DEPRECATED,
        words=(_REPORT, "deprecated"),
        at="folder-document",
    ),
    Violation(
        name="a document into a deprecated Folder",
        rule="approved_folders",
        fixture="iti42/folder_update",
        before=(*_REGISTERED, partial(behind.deprecate_folder, 21)),
        edit=edits.nothing,
        code=METADATA,
        words=(_LUNG, "deprecated"),
        at="folder-document",
    ),
)

_DUPLICATE: Final = "XDSRegistryDuplicateUniqueIdInMessage"
_USED: Final = "XDSDuplicateUniqueIdInRegistry"


def _doubled(name: str, edit: edits.Edit, unique_id: str, at: str) -> Violation:
    return Violation(
        name=f"one uniqueId of {name}",
        rule="distinct_unique_ids",
        fixture="iti42/folder",
        edit=edit,
        code=_DUPLICATE,
        words=(unique_id,),
        at=at,
    )


def _used(name: str, path: str, scheme: str, unique_id: str, kind: str, at: str) -> Violation:
    return Violation(
        name=f"a {name} with the uniqueId of a registered {kind}",
        rule="unused_unique_ids",
        fixture="iti42/folder",
        before=_REGISTERED,
        edit=both(
            attribute(identifier(SUBMISSION_SET, v.SUBMISSION_SET_UNIQUE_ID), "value", "2.999.2.9"),
            attribute(identifier(path, scheme), "value", unique_id),
        ),
        code=_USED,
        words=(unique_id, kind),
        at=at,
    )


_AGAIN: Final = both(
    attribute(identifier(SUBMISSION_SET, v.SUBMISSION_SET_UNIQUE_ID), "value", "2.999.2.9"),
    attribute(_UNIQUE_ID, "value", "2.999.3.10"),
)

_OF_IDENTIFIERS: Final = (
    _doubled(
        "DocumentEntry and SubmissionSet",
        attribute(_UNIQUE_ID, "value", "2.999.2.1"),
        "2.999.2.1",
        "submission-set",
    ),
    _doubled(
        "two DocumentEntries",
        both(
            edits.copy_as(DOCUMENT_ENTRY, {"document": "copy"}),
            has_member("member-copy", "submission-set", "copy", "Original"),
        ),
        "2.999.3.1",
        "document",
    ),
    _doubled("two Folders", replace("2.999.4.2", "2.999.4.1"), "2.999.4.1", "folder"),
    *(
        _used("SubmissionSet", SUBMISSION_SET, v.SUBMISSION_SET_UNIQUE_ID, *used, "submission-set")
        for used in (
            ("2.999.2.1", "SubmissionSet"),
            ("2.999.3.10", "DocumentEntry"),
            ("2.999.4.20", "Folder"),
        )
    ),
    *(
        _used("Folder", FOLDER, v.FOLDER_UNIQUE_ID, *used, "folder")
        for used in (
            ("2.999.2.1", "SubmissionSet"),
            ("2.999.3.10", "DocumentEntry"),
            ("2.999.4.20", "Folder"),
        )
    ),
    Violation(
        name="the same document for another patient",
        rule="patient_of_document",
        fixture="iti42/minimal_document",
        before=_REGISTERED,
        edit=both(_AGAIN, replace("P1^^^", "P2^^^")),
        code=MISMATCH,
        words=("patientId P2^^^&2.999.1.1&ISO", "2.999.3.10"),
    ),
    Violation(
        name="the same document with another hash",
        rule="identical_hash",
        fixture="iti42/minimal_document",
        before=_REGISTERED,
        edit=both(_AGAIN, values(slot(DOCUMENT_ENTRY, "hash"), "f" * 40)),
        code="XDSNonIdenticalHash",
        words=("2.999.3.10",),
    ),
    Violation(
        name="the same document with another size",
        rule="identical_size",
        fixture="iti42/minimal_document",
        before=_REGISTERED,
        edit=both(_AGAIN, values(slot(DOCUMENT_ENTRY, "size"), "20481")),
        code="XDSNonIdenticalSize",
        words=("2.999.3.10",),
    ),
    *(
        Violation(
            name=f"the UUID of a registered {kind}",
            rule="unused_uuids",
            fixture="iti42/folder",
            before=_REGISTERED,
            edit=both(
                attribute(
                    identifier(SUBMISSION_SET, v.SUBMISSION_SET_UNIQUE_ID), "value", "2.999.2.9"
                ),
                edit,
            ),
            code=METADATA,
            words=("already registered",),
            at=uuid,
        )
        for kind, uuid, edit in (
            ("Folder", _HEART, replace("empty-folder", _HEART)),
            ("DocumentEntry", _REPORT, replace("empty-folder", _REPORT)),
            ("Association", f"{_UUID}50", replace("member-folder-document", f"{_UUID}50")),
        )
    ),
)

_OF_PATIENTS: Final = (
    Violation(
        name="a patient of another assigning authority",
        rule="assigning_authority",
        fixture="iti42/minimal_document",
        edit=replace("&2.999.1.1&", "&2.999.1.77&"),
        code=UNKNOWN_PATIENT,
        words=("P1^^^&2.999.1.77&ISO", "assigning authority 2.999.1.1"),
        at="submission-set",
        also=(UNKNOWN_PATIENT,),
        server="domain",
    ),
    Violation(
        name="a patient whom nobody has made known",
        rule="known_patients",
        fixture="iti42/minimal_document",
        edit=replace("P1^^^", "P4^^^"),
        code=UNKNOWN_PATIENT,
        words=("P4^^^&2.999.1.1&ISO",),
        at="submission-set",
        server="domain",
    ),
    Violation(
        name="a patient who was merged into another",
        rule="known_patients",
        fixture="iti42/minimal_document",
        edit=replace("P1^^^", "P3^^^"),
        code=UNKNOWN_PATIENT,
        words=("P3^^^&2.999.1.1&ISO",),
        at="submission-set",
        server="domain",
    ),
    Violation(
        name="a DocumentEntry of another patient",
        rule="one_patient",
        fixture="iti42/folder",
        edit=attribute(_PATIENT_ID, "value", "P2^^^&2.999.1.1&ISO"),
        code=MISMATCH,
        words=("P2^^^&2.999.1.1&ISO", "P1^^^&2.999.1.1&ISO"),
    ),
    Violation(
        name="a Folder of another patient",
        rule="one_patient",
        fixture="iti42/folder",
        edit=attribute(identifier(FOLDER, v.FOLDER_PATIENT_ID), "value", "P2^^^&2.999.1.1&ISO"),
        code=MISMATCH,
        words=("P2^^^&2.999.1.1&ISO",),
        at="folder",
    ),
    Violation(
        name="a document into the Folder of another patient",
        rule="related_patients",
        fixture="iti42/reference",
        before=_REGISTERED,
        edit=both(
            has_member("folder-document", _LUNG, "document"),
            has_member("member-folder-document", "submission-set", "folder-document"),
        ),
        code=MISMATCH,
        words=("P1^^^&2.999.1.1&ISO", "P2^^^&2.999.1.1&ISO"),
        at="folder-document",
    ),
    *(
        Violation(
            name=f"the {name} of another patient's document",
            rule="related_patients",
            fixture=f"iti42/{name}",
            before=_REGISTERED,
            edit=replace("P1^^^", "P2^^^"),
            code=MISMATCH,
            words=("P1^^^&2.999.1.1&ISO", "P2^^^&2.999.1.1&ISO"),
            at="relation",
            also=(MISMATCH,) if "replacement" in name else (),
        )
        for name in (
            "replacement",
            "addendum",
            "transformation",
            "transformation_and_replacement",
            "signature",
        )
    ),
    _related(
        name="a replacement that would join another patient's Folder",
        rule="inherited_folders",
        before=(*_REGISTERED, partial(behind.give_folder_away, 20)),
        edit=edits.nothing,
        code=MISMATCH,
        words=("P1^^^&2.999.1.1&ISO", _HEART),
    ),
)

VIOLATIONS: Final = (*_OF_REFERENCES, *_OF_STATUS, *_OF_IDENTIFIERS, *_OF_PATIENTS)
