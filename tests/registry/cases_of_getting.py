"""Queries that go out from a patient or from known objects, and what they must return."""

from typing import Final

from tests.registry.query_cases import ALL, ON_DEMAND, RELATIONSHIPS, STABLE, Case, N, R
from tests.registry.wire import BOTH_TYPES, Parameters, texts
from xds.metadata import vocabulary as v

_OF_REPORT: Final = (
    "first>report, heart>report, scan XFRM report, note APND report, signature signs report, "
    "seventh>report"
)
_EVERYTHING: Final = (
    "first, second, third, fourth, fifth, sixth, report, letter, image, lab, new, scan, note, "
    "signature, snapshot, heart, lung, first>report, first>letter, first>heart, heart>report, "
    "first>heart>report, heart>letter, first>heart>letter, second>image, second>lab, second>old, "
    "second>lung, lung>old, second>lung>old, third>new, new RPLC old, lung>new, third>lung>new, "
    "fourth>scan, fourth>note, fourth>signature, scan XFRM report, note APND report, "
    "signature signs report, signature signs note, fourth>note APND report, "
    "fourth>signature signs note, fifth>demand, heart>demand, "
    "fifth>heart>demand, sixth>snapshot, snapshot IsSnapshotOf demand, seventh>report"
)


def _all(name: str, parameters: Parameters, found: str, *shows: str) -> Case:
    rows = tuple(f"behaviour {one}" for one in shows)
    return Case(name, "GetAll", {**ALL, **parameters}, found, rows)


_NO_SETS: Final = {"$XDSSubmissionSetStatus": texts(v.DEPRECATED)}
_NO_FOLDERS: Final = {"$XDSFolderStatus": texts(v.DEPRECATED)}
_GET_ALL: Final = (
    _all("approved", {}, _EVERYTHING),
    _all(
        "of another patient",
        {"$patientId": "'P2^^^&2.999.1.1&ISO'"},
        "seventh, twin, foreign, seventh>twin, seventh>foreign, foreign>twin, "
        "seventh>foreign>twin, seventh>report",
    ),
    _all(
        "documents of one format",
        {
            **_NO_SETS,
            **_NO_FOLDERS,
            "$XDSDocumentEntryFormatCode": f"('dicom^^{v.IHE_FORMAT_CODES}')",
        },
        "image, second>image",
    ),
    _all(
        "documents of one confidentiality",
        {**_NO_SETS, **_NO_FOLDERS, "$XDSDocumentEntryConfidentialityCode": [N, R]},
        "letter, first>letter, heart>letter",
        "AND",
    ),
    _all(
        "On-Demand documents",
        {**_NO_SETS, **_NO_FOLDERS, "$XDSDocumentEntryType": ON_DEMAND},
        "demand, fifth>demand, heart>demand, snapshot IsSnapshotOf demand",
    ),
    _all(
        "deprecated documents",
        {**_NO_SETS, **_NO_FOLDERS, "$XDSDocumentEntryStatus": texts(v.DEPRECATED)},
        "old, second>old, lung>old, new RPLC old",
    ),
    _all(
        "Folders",
        {**_NO_SETS, "$XDSDocumentEntryStatus": texts(v.DEPRECATED)},
        "old, heart, lung, first>heart, heart>report, heart>letter, second>old, second>lung, "
        "lung>old, new RPLC old, lung>new, heart>demand",
    ),
)

_UUIDS: Final = "$XDSDocumentEntryEntryUUID"
_UNIQUE_IDS: Final = "$XDSDocumentEntryUniqueId"
_GET: Final = (
    Case("by entryUUID", "GetDocuments", {_UUIDS: "('{report}')"}, "report"),
    Case("of any status", "GetDocuments", {_UUIDS: "('{old}','{new}')"}, "old, new"),
    Case("of any kind", "GetDocuments", {_UUIDS: ("('{demand}')", "('{lab}')")}, "lab, demand"),
    Case("by uniqueId", "GetDocuments", {_UNIQUE_IDS: "('{#report}','{#lab}')"}, "report, lab"),
    Case(
        "unknown ones are passed over",
        "GetDocuments",
        {_UUIDS: "('{lab}','urn:uuid:00000000-0000-4000-8000-000000000999')"},
        "lab",
        ("behaviour no result",),
    ),
    Case("that nobody has", "GetDocuments", {_UNIQUE_IDS: "('1.2')"}, "", ("behaviour no result",)),
    Case("that is no UUID", "GetDocuments", {_UUIDS: "('report')"}, "", ("behaviour no result",)),
    Case(
        "by entryUUID", "GetFolders", {"$XDSFolderEntryUUID": "('{heart}','{lung}')"}, "heart, lung"
    ),
    Case("by uniqueId", "GetFolders", {"$XDSFolderUniqueId": "('{#lung}')"}, "lung"),
    Case("a DocumentEntry is none", "GetFolders", {"$XDSFolderEntryUUID": "('{lab}')"}, ""),
    Case("of a document", "GetAssociations", {"$uuid": "('{report}')"}, _OF_REPORT),
    Case(
        "of a document and a SubmissionSet",
        "GetAssociations",
        {"$uuid": ("('{lab}')", "('{third}')")},
        "second>lab, third>new, third>lung>new",
    ),
    Case(
        "of an Association",
        "GetAssociations",
        {"$uuid": "('{heart>report}')"},
        "first>heart>report",
    ),
    Case("of nothing", "GetAssociations", {"$uuid": "('{third>lung>new}')"}, ""),
    Case(
        "by entryUUID",
        "GetDocumentsAndAssociations",
        {_UUIDS: "('{report}','{lab}')"},
        f"report, lab, second>lab, {_OF_REPORT}",
    ),
    Case(
        "by uniqueId",
        "GetDocumentsAndAssociations",
        {_UNIQUE_IDS: "('{#new}')"},
        "new, third>new, new RPLC old, lung>new",
    ),
    Case(
        "of documents and Folders",
        "GetSubmissionSets",
        {"$uuid": ("('{letter}','{lung}')", "('{heart}')")},
        "first, second, first>letter, first>heart, second>lung",
    ),
    Case("of nothing", "GetSubmissionSets", {"$uuid": "('{first}')"}, ""),
)

_SET: Final = "$XDSSubmissionSetEntryUUID"
_FOLDER: Final = "$XDSFolderEntryUUID"
_FORMAT: Final = {"$XDSDocumentEntryFormatCode": f"('text^^{v.IHE_FORMAT_CODES}')"}
_CONFIDENTIAL: Final[Parameters] = {"$XDSDocumentEntryConfidentialityCode": [N, R]}
_FILTER: Final = ("behaviour filtered associations",)
_CONTENTS: Final = (
    Case(
        "by entryUUID",
        "GetSubmissionSetAndContents",
        {_SET: "'{first}'"},
        "first, report, letter, heart, first>report, first>letter, first>heart, heart>report, "
        "first>heart>report, heart>letter, first>heart>letter",
    ),
    Case(
        "by uniqueId",
        "GetSubmissionSetAndContents",
        {"$XDSSubmissionSetUniqueId": "'{#third}'"},
        "third, new, third>new",
    ),
    Case(
        "documents of one format",
        "GetSubmissionSetAndContents",
        {_SET: "'{first}'", **_FORMAT},
        "first, letter, heart, first>letter, first>heart, heart>letter, first>heart>letter",
        _FILTER,
    ),
    Case(
        "documents of two confidentialities",
        "GetSubmissionSetAndContents",
        {_SET: "'{first}'", **_CONFIDENTIAL},
        "first, letter, heart, first>letter, first>heart, heart>letter, first>heart>letter",
        _FILTER,
    ),
    Case(
        "Stable documents",
        "GetSubmissionSetAndContents",
        {_SET: "'{fifth}'", "$XDSDocumentEntryType": STABLE},
        "fifth",
        _FILTER,
    ),
    Case(
        "documents of every kind",
        "GetSubmissionSetAndContents",
        {_SET: "'{fifth}'"},
        "fifth, demand, fifth>demand",
    ),
    Case(
        "a deprecated document",
        "GetSubmissionSetAndContents",
        {_SET: "'{second}'"},
        "second, image, lab, old, lung, second>image, second>lab, second>old, second>lung, "
        "lung>old, second>lung>old",
    ),
    Case(
        "a relationship, where the SubmissionSet has both its ends",
        "GetSubmissionSetAndContents",
        {_SET: "'{fourth}'"},
        "fourth, scan, note, signature, fourth>scan, fourth>note, fourth>signature, "
        "signature signs note, fourth>signature signs note",
    ),
    Case("of nobody", "GetSubmissionSetAndContents", {_SET: "'{heart}'"}, ""),
    Case(
        "by entryUUID",
        "GetFolderAndContents",
        {_FOLDER: "'{heart}'"},
        "report, letter, demand, heart, heart>report, heart>letter, heart>demand",
    ),
    Case(
        "by uniqueId",
        "GetFolderAndContents",
        {"$XDSFolderUniqueId": "'{#lung}'"},
        "old, new, lung, lung>old, lung>new",
    ),
    Case(
        "documents of one format",
        "GetFolderAndContents",
        {_FOLDER: "'{heart}'", **_FORMAT},
        "letter, heart, heart>letter",
        _FILTER,
    ),
    Case(
        "documents of two confidentialities",
        "GetFolderAndContents",
        {_FOLDER: "'{heart}'", **_CONFIDENTIAL},
        "letter, heart, heart>letter",
        _FILTER,
    ),
    Case(
        "On-Demand documents",
        "GetFolderAndContents",
        {_FOLDER: "'{heart}'", "$XDSDocumentEntryType": ON_DEMAND},
        "demand, heart, heart>demand",
        _FILTER,
    ),
    Case("of nobody", "GetFolderAndContents", {_FOLDER: "'{report}'"}, ""),
    Case("by entryUUID", "GetFoldersForDocument", {_UUIDS: "'{report}'"}, "heart"),
    Case("by uniqueId", "GetFoldersForDocument", {_UNIQUE_IDS: "'{#new}'"}, "lung"),
    Case("of none", "GetFoldersForDocument", {_UUIDS: "'{lab}'"}, ""),
)


def _related(name: str, parameters: Parameters, found: str, *types: str) -> Case:
    given = {"$AssociationTypes": texts(*types) if types else RELATIONSHIPS, **parameters}
    return Case(name, "GetRelatedDocuments", given, found)


_RELATED: Final = (
    _related(
        "of every type",
        {_UUIDS: "'{report}'"},
        "report, scan, note, signature, scan XFRM report, note APND report, signature signs report",
    ),
    _related("of one type", {_UUIDS: "'{report}'"}, "report, scan, scan XFRM report", v.XFRM),
    _related(
        "of two types",
        {_UNIQUE_IDS: "'{#report}'"},
        "report, note, signature, note APND report, signature signs report",
        v.APND,
        v.SIGNS,
    ),
    _related("from its source", {_UUIDS: "'{new}'"}, "old, new, new RPLC old"),
    _related("of none of the type", {_UUIDS: "'{report}'"}, "", v.RPLC),
    _related("of nothing", {_UUIDS: "'{lab}'"}, ""),
    _related("On-Demand ones are left out", {_UUIDS: "'{snapshot}'"}, ""),
    _related(
        "On-Demand ones are asked for",
        {_UUIDS: "'{snapshot}'", "$XDSDocumentEntryType": BOTH_TYPES},
        "demand, snapshot, snapshot IsSnapshotOf demand",
    ),
    _related("of an unknown type", {_UUIDS: "'{report}'"}, "", "urn:example:likes"),
    _related(
        "of a known and an unknown type",
        {_UUIDS: "'{report}'"},
        "report, scan, scan XFRM report",
        "urn:example:likes",
        v.XFRM,
    ),
)

CASES: Final = (*_GET_ALL, *_GET, *_CONTENTS, *_RELATED)
