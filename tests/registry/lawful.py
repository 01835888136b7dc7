"""What must be accepted: the good messages, and changes of them that break no rule."""

from dataclasses import dataclass
from functools import partial
from typing import Final

from tests.registry import edits
from tests.registry.edits import (
    DOCUMENT_ENTRY,
    SUBMISSION_SET,
    Edit,
    association,
    attribute,
    both,
    classification,
    has_member,
    identifier,
    replace,
    slot,
    values,
)
from tests.registry.violations import Step, registered
from xds.metadata import vocabulary as v

_UUID: Final = "urn:uuid:00000000-0000-4000-8000-0000000000"
_REPORT, _IMAGE, _OTHER, _HEART = (f"{_UUID}{n}" for n in (10, 11, 14, 20))
_REGISTERED: Final = (registered("iti42/preassigned_uuids"),)
_ON_DEMAND: Final = (registered("iti61/on_demand_document"),)

PREDECESSORS: Final = {
    "iti42/addendum": _REGISTERED,
    "iti42/folder_update": _REGISTERED,
    "iti42/reference": _REGISTERED,
    "iti42/replacement": _REGISTERED,
    "iti42/signature": _REGISTERED,
    "iti42/snapshot": _ON_DEMAND,
    "iti42/transformation": _REGISTERED,
    "iti42/transformation_and_replacement": _REGISTERED,
    "iti57/document_version": _REGISTERED,
    "iti57/folder_and_document_versions": _REGISTERED,
    "iti57/folder_version": _REGISTERED,
    "iti57/new_associations": _REGISTERED,
    "iti57/statuses": _REGISTERED,
    "iti61/replacement_on_demand": _ON_DEMAND,
    "iti92/document_version": _REGISTERED,
}
"""What must be registered before a good message is one; nothing for those not named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lawful:
    """A change of a good message that leaves it good."""

    name: str
    edit: Edit
    shows: str
    """What the case shows, as a row of the table of conformance."""
    fixture: str = "iti42/comprehensive_document"
    before: tuple[Step, ...] = ()


_HASH: Final = slot(DOCUMENT_ENTRY, "hash")
_SIZE: Final = slot(DOCUMENT_ENTRY, "size")
_AGAIN: Final = both(
    attribute(identifier(SUBMISSION_SET, v.SUBMISSION_SET_UNIQUE_ID), "value", "2.999.2.9"),
    attribute(identifier(DOCUMENT_ENTRY, v.DOCUMENT_ENTRY_UNIQUE_ID), "value", "2.999.3.10"),
)
_again = partial(Lawful, fixture="iti42/minimal_document", before=_REGISTERED)
_related = partial(Lawful, fixture="iti42/replacement", before=_REGISTERED)


def _author(name: str, *kept: str) -> Lawful:
    author = classification(DOCUMENT_ENTRY, v.DOCUMENT_ENTRY_AUTHOR)
    gone = {"authorPerson", "authorInstitution", "authorTelecommunication"} - set(kept)
    return Lawful(
        name=f"an author with no more than {name}",
        edit=edits.remove(*(slot(author, one) for one in sorted(gone))),
        shows="rule authors",
    )


_ATTRIBUTES: Final = (
    _author("a person", "authorPerson"),
    _author("an institution", "authorInstitution"),
    _author("a telecommunication", "authorTelecommunication"),
    Lawful(
        name="service times that are equal as far as both go",
        edit=values(slot(DOCUMENT_ENTRY, "serviceStopTime"), "20260301"),
        shows="rule service_times",
    ),
    Lawful(
        name="a year as creationTime",
        edit=values(slot(DOCUMENT_ENTRY, "creationTime"), "2026"),
        shows="rule data_types",
    ),
    Lawful(
        name="a uniqueId that is no OID",
        edit=attribute(
            identifier(DOCUMENT_ENTRY, v.DOCUMENT_ENTRY_UNIQUE_ID),
            "value",
            "2.999.3.1^Report 17/2026 “draft”",
        ),
        shows="rule data_types",
    ),
    Lawful(
        name="white space round values",
        edit=both(
            values(slot(DOCUMENT_ENTRY, "languageCode"), "\n  de-CH\n"), values(_SIZE, " 20480 ")
        ),
        shows="rule data_types",
    ),
    Lawful(
        name="no status and no version",
        edit=both(
            attribute(DOCUMENT_ENTRY, "status", None),
            edits.remove(f"{DOCUMENT_ENTRY}/rim:VersionInfo"),
        ),
        shows="rule required",
    ),
    Lawful(
        name="a display name in no language but the second one",
        edit=edits.before(
            f"{classification(DOCUMENT_ENTRY, v.DOCUMENT_ENTRY_CLASS_CODE)}"
            "/rim:Name/rim:LocalizedString",
            '<rim:LocalizedString xml:lang="en" value=""/>',
        ),
        shows="rule codes",
    ),
    Lawful(
        name="no author of anything",
        edit=edits.remove(
            classification(DOCUMENT_ENTRY, v.DOCUMENT_ENTRY_AUTHOR),
            classification(SUBMISSION_SET, v.SUBMISSION_SET_AUTHOR),
        ),
        shows="rule required",
    ),
)

_STRUCTURE: Final = (
    Lawful(
        name="a SubmissionSet that shares registered documents anew",
        fixture="iti42/reference",
        before=_REGISTERED,
        edit=edits.remove(DOCUMENT_ENTRY, association("member-document")),
        shows="rule something_to_share",
    ),
    Lawful(
        name="an empty Folder alone",
        fixture="iti42/folder",
        edit=edits.remove(
            DOCUMENT_ENTRY,
            *(
                association(name)
                for name in ("member-document", "folder-document", "member-folder-document")
            ),
        ),
        shows="rule something_to_share",
    ),
    Lawful(
        name="a SubmissionSet that holds a relationship",
        fixture="iti42/several_documents",
        edit=has_member("member-appends", "submission-set", "appends"),
        shows="rule has_member_ends",
    ),
    Lawful(
        name="SubmissionSetStatus of a Folder's membership",
        fixture="iti42/folder",
        edit=edits.add_slot(association("member-folder"), "SubmissionSetStatus", "Original"),
        shows="rule submission_set_status",
    ),
    Lawful(
        name="an ObjectRef beside the objects",
        fixture="iti42/replacement",
        before=_REGISTERED,
        edit=edits.add_object(f'<rim:ObjectRef id="{_REPORT}"/>'),
        shows="rule only_xds_objects",
    ),
    Lawful(
        name="the objects in the opposite order",
        fixture="iti42/folder",
        edit=edits.reverse("//rim:RegistryObjectList"),
        shows="rule references_resolve",
    ),
    Lawful(
        name="an extra Slot of IHE that is not known",
        edit=edits.add_slot(DOCUMENT_ENTRY, "urn:ihe:iti:xds:2099:mood", "good"),
        shows="rule slot_names",
    ),
    Lawful(
        name="an extra Slot of a nation",
        edit=edits.add_slot(
            DOCUMENT_ENTRY, "urn:e-health-suisse:2020:originalProviderRole", "HCP^^^&2.999.5.11&ISO"
        ),
        shows="rule slot_names",
    ),
)

_REGISTERED_BEFORE: Final = (
    _again(
        name="a document that is registered already, with the same hash and size",
        edit=_AGAIN,
        shows="rule identical_hash",
    ),
    _again(
        name="the same hash in capitals",
        edit=both(_AGAIN, values(_HASH, "0D4FD3E8B9A1F6EE2F7C1F6F5B6B0F1E8A9A4C11")),
        shows="rule identical_hash",
    ),
    _again(
        name="the same size with a zero before it",
        edit=both(_AGAIN, values(_SIZE, "020480")),
        shows="rule identical_size",
    ),
    _again(
        name="a document with the uniqueId of a registered SubmissionSet",
        edit=both(_AGAIN, replace("2.999.3.10", "2.999.2.1")),
        shows="rule unused_unique_ids",
    ),
    _related(
        name="a document that replaces two",
        edit=edits.add_association("second", v.RPLC, "document", _OTHER),
        shows="rule relationship_ends",
    ),
    _related(
        name="an addendum to a document and to its addendum",
        fixture="iti42/addendum",
        edit=edits.add_association("second", v.APND, "document", f"{_UUID}12"),
        shows="rule no_addendum_to_transformation",
    ),
    _related(
        name="the replacement of a transformation",
        edit=attribute(association("relation"), "targetObject", _IMAGE),
        shows="rule no_addendum_to_transformation",
    ),
    _related(
        name="a replacement that is put into its predecessor's Folder by hand",
        edit=both(
            has_member("folder-document", _HEART, "document"),
            has_member("member-folder-document", "submission-set", "folder-document"),
        ),
        shows="rule inherited_folders",
    ),
    Lawful(
        name="a new document into a new and a registered Folder",
        fixture="iti42/folder",
        before=_REGISTERED,
        edit=both(
            replace("2.999.2.1", "2.999.2.9"),
            has_member("heart-document", _HEART, "document"),
            has_member("member-heart-document", "submission-set", "heart-document"),
        ),
        shows="rule related_patients",
    ),
    Lawful(
        name="a registered document into a new Folder",
        fixture="iti42/folder",
        before=_REGISTERED,
        edit=both(
            replace("2.999.2.1", "2.999.2.9"),
            has_member("folder-other", "folder", _OTHER),
            has_member("member-folder-other", "submission-set", "folder-other"),
        ),
        shows="rule has_member_ends",
    ),
)

LAWFUL: Final = (*_ATTRIBUTES, *_STRUCTURE, *_REGISTERED_BEFORE)
