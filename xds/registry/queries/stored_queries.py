"""STORED_QUERIES: a row for each stored query, and how one is answered (ITI TF-2 3.18, 3.51)."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final

from sqlalchemy import Connection

from xds.errors import (
    RegistryError,
    TransactionFailure,
    XDSRegistryError,
    XDSResultNotSinglePatient,
    XDSUnknownStoredQuery,
)
from xds.metadata import vocabulary as v
from xds.metadata.catalogue import ITI_18, ITI_51
from xds.metadata.criteria import Operator
from xds.metadata.ebrim import Slot
from xds.metadata.objects import Association
from xds.metadata.white_space import trimmed_value
from xds.registry.queries import steps
from xds.registry.queries.parameters import (
    AVAILABILITY,
    CODE,
    ENTRY_TYPE,
    LEVEL,
    PATTERN,
    STATUS,
    TIME,
    Alternatives,
    Arguments,
    Parameter,
    decode,
    items,
    passed_over,
)
from xds.registry.queries.search import Columns, Page, Search, Shown
from xds.registry.queries.steps import StoredQuery
from xds.registry.queries.visibility import Visibility
from xds.registry.storage.fragments import FoundObject
from xds.registry.tables import association, document_entry, folder, submission_set


@dataclass(frozen=True, slots=True)
class QueryRequest:
    """A stored query as it was asked: its id, its Slots, and what is to be returned."""

    query_id: str
    slots: Sequence[Slot]
    return_type: str = v.LEAF_CLASS
    transaction: str = ITI_18.name
    page: Page | None = None
    """The part of the result that is wanted, where the consumer pages."""

    def patient_ids(self) -> Sequence[str]:
        """Return the patients (CX) that it names, as far as it can be read."""
        query = STORED_QUERIES.get(self.query_id)
        if query is None:
            return ()
        named = {one.name for one in query.parameters if one.attribute == "patient_id"}
        found: list[str] = []
        with suppress(ValueError):
            for text in (text for slot in self.slots if slot.name in named for text in slot.values):
                found.extend(trimmed_value(value) for value, _ in items(text))
        return found


@dataclass(frozen=True, slots=True)
class QueryResult:
    """What a stored query found."""

    objects: list[FoundObject]
    total: int
    """The objects of the whole result, of which a page may show less."""
    warnings: Sequence[RegistryError] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultLimits:
    """How many objects an answer may have, by returnType; beyond it is XDSTooManyResults."""

    leaf_class: int = 10_000
    object_ref: int = 200_000


# --- parameters ----------------------------------------------------------------------------------


def _codes(name: str, attribute: str, *, conjunctive: bool = False) -> Parameter:
    return Parameter(
        name=name, attribute=attribute, kind=CODE, multiple=True, conjunctive=conjunctive
    )


def _times(name: str, attribute: str) -> tuple[Parameter, Parameter]:
    return (
        Parameter(name=f"{name}From", attribute=attribute, kind=TIME, operator=Operator.FROM),
        Parameter(name=f"{name}To", attribute=attribute, kind=TIME, operator=Operator.BEFORE),
    )


def _like(name: str, attribute: str) -> Parameter:
    return Parameter(
        name=name, attribute=attribute, kind=PATTERN, operator=Operator.LIKE, multiple=True
    )


def _patient(name: str) -> Parameter:
    return Parameter(name=name, attribute="patient_id", required=True)


def _status(name: str) -> Parameter:
    return Parameter(
        name=name, attribute="availability_status", kind=STATUS, required=True, multiple=True
    )


def _ids(name: str, attribute: str, *, multiple: bool) -> Parameter:
    return Parameter(name=name, attribute=attribute, multiple=multiple)


_ENTRY_STATUS: Final = _status("$XDSDocumentEntryStatus")
_ENTRY_TYPE: Final = Parameter(
    name="$XDSDocumentEntryType", attribute="object_type", kind=ENTRY_TYPE, multiple=True
)
_STABLE_BY_DEFAULT: Final = replace(_ENTRY_TYPE, default=((v.STABLE_DOCUMENT_ENTRY,),))
_FORMAT_CODE: Final = _codes("$XDSDocumentEntryFormatCode", "format_code")
_CONFIDENTIALITY_CODE: Final = _codes(
    "$XDSDocumentEntryConfidentialityCode", "confidentiality_code", conjunctive=True
)
_CLASS_CODE: Final = _codes("$XDSDocumentEntryClassCode", "class_code")
_EVENT_CODE_LIST: Final = _codes(
    "$XDSDocumentEntryEventCodeList", "event_code_list", conjunctive=True
)
_FACILITY_TYPE_CODE: Final = _codes(
    "$XDSDocumentEntryHealthcareFacilityTypeCode", "healthcare_facility_type_code"
)
_FOLDER_CODE_LIST: Final = _codes("$XDSFolderCodeList", "code_list", conjunctive=True)

FIND_DOCUMENTS: Final = (
    _patient("$XDSDocumentEntryPatientId"),
    _ENTRY_STATUS,
    _CLASS_CODE,
    _codes("$XDSDocumentEntryTypeCode", "type_code"),
    _codes("$XDSDocumentEntryPracticeSettingCode", "practice_setting_code"),
    *_times("$XDSDocumentEntryCreationTime", "creation_time"),
    *_times("$XDSDocumentEntryServiceStartTime", "service_start_time"),
    *_times("$XDSDocumentEntryServiceStopTime", "service_stop_time"),
    _FACILITY_TYPE_CODE,
    _EVENT_CODE_LIST,
    _CONFIDENTIALITY_CODE,
    _like("$XDSDocumentEntryAuthorPerson", "author"),
    _FORMAT_CODE,
    _STABLE_BY_DEFAULT,
    Parameter(
        name="$XDSDocumentEntryDocumentAvailability",
        attribute="document_availability",
        kind=AVAILABILITY,
        multiple=True,
        counts_as=v.ONLINE,
        of_updates=True,
    ),
)
_REFERENCE_ID_LIST: Final = Parameter(
    name="$XDSDocumentEntryReferenceIdList",
    attribute="reference_id_list",
    required=True,
    multiple=True,
    conjunctive=True,
)
FIND_FOLDERS: Final = (
    _patient("$XDSFolderPatientId"),
    *_times("$XDSFolderLastUpdateTime", "last_update_time"),
    _FOLDER_CODE_LIST,
    _status("$XDSFolderStatus"),
)
_LEVEL: Final = Parameter(
    name="$MetadataLevel", kind=LEVEL, operator=None, default=(("1",),), of_updates=True
)
_ASSOCIATION_STATUS: Final = replace(
    _status("$XDSAssociationStatus"), required=False, of_updates=True
)
_CONTENT_FILTERS: Final = (_FORMAT_CODE, _CONFIDENTIALITY_CODE, _ENTRY_TYPE)
_ALL_OF_PATIENT: Final = _patient("$patientId")
_UUIDS: Final = Parameter(name="$uuid", operator=None, required=True, multiple=True)


def _of_any_patient(parameters: tuple[Parameter, ...]) -> tuple[Parameter, ...]:
    """Make the patient id of a query optional and multiple (ITI TF-2 3.51.4.1.2.3)."""
    return tuple(
        replace(p, required=False, multiple=True) if p.attribute == "patient_id" else p
        for p in parameters
    )


def _by_id(prefix: str, *, multiple: bool) -> tuple[Parameter, Parameter]:
    return (
        _ids(f"{prefix}EntryUUID", "entry_uuid", multiple=multiple),
        _ids(f"{prefix}UniqueId", "unique_id", multiple=multiple),
    )


def _by_any_id(prefix: str) -> tuple[Parameter, ...]:
    logical = replace(_ids(f"{prefix}LogicalID", "logical_id", multiple=True), of_updates=True)
    return (*_by_id(prefix, multiple=True), logical)


def _either(prefix: str, *more: str) -> Alternatives:
    return Alternatives((f"{prefix}EntryUUID", f"{prefix}UniqueId", *more))


_DE: Final = "$XDSDocumentEntry"
_SS: Final = "$XDSSubmissionSet"
_FD: Final = "$XDSFolder"

# --- queries -------------------------------------------------------------------------------------


def _with(
    query: StoredQuery, *parameters: Parameter, query_id: str, name: str, section: str
) -> StoredQuery:
    """Return a query of one table that is another one with further parameters."""
    ((table, own),) = query.on.items()
    on = {table: (*own, *parameters)}
    return replace(query, on=on, query_id=query_id, name=name, section=section)


_FIND_DOCUMENTS: Final = StoredQuery(
    query_id=v.FIND_DOCUMENTS,
    name="FindDocuments",
    section="ITI TF-2 3.18.4.1.2.3.7.1",
    step=steps.find,
    on={document_entry: FIND_DOCUMENTS},
)

_ROWS: Final = (
    _FIND_DOCUMENTS,
    _with(
        _FIND_DOCUMENTS,
        _REFERENCE_ID_LIST,
        query_id=v.FIND_DOCUMENTS_BY_REFERENCE_ID,
        name="FindDocumentsByReferenceId",
        section="ITI TF-2 3.18.4.1.2.3.7.14",
    ),
    _with(
        _FIND_DOCUMENTS,
        replace(_like(f"{_DE}Title", "title"), required=True),
        _like(f"{_DE}AuthorInstitution", "author_institution"),
        query_id=v.FIND_DOCUMENTS_BY_TITLE,
        name="FindDocumentsByTitle",
        section="gematik gemSpec_Aktensystem_ePAfueralle",
    ),
    StoredQuery(
        query_id=v.FIND_SUBMISSION_SETS,
        name="FindSubmissionSets",
        section="ITI TF-2 3.18.4.1.2.3.7.2",
        step=steps.find,
        on={
            submission_set: (
                _patient("$XDSSubmissionSetPatientId"),
                Parameter(name="$XDSSubmissionSetSourceId", attribute="source_id", multiple=True),
                *_times("$XDSSubmissionSetSubmissionTime", "submission_time"),
                replace(_like("$XDSSubmissionSetAuthorPerson", "author"), multiple=False),
                _codes("$XDSSubmissionSetContentType", "content_type_code"),
                _status("$XDSSubmissionSetStatus"),
            )
        },
    ),
    StoredQuery(
        query_id=v.FIND_FOLDERS,
        name="FindFolders",
        section="ITI TF-2 3.18.4.1.2.3.7.3",
        step=steps.find,
        on={folder: FIND_FOLDERS},
        shown=Shown.CURRENT_IN_ANY_STATUS,
    ),
    StoredQuery(
        query_id=v.GET_ALL,
        name="GetAll",
        section="ITI TF-2 3.18.4.1.2.3.7.4",
        step=steps.get_all,
        on={
            submission_set: (_ALL_OF_PATIENT, _status("$XDSSubmissionSetStatus")),
            document_entry: (
                _ALL_OF_PATIENT,
                _ENTRY_STATUS,
                _FORMAT_CODE,
                _CONFIDENTIALITY_CODE,
                _STABLE_BY_DEFAULT,
            ),
            folder: (_ALL_OF_PATIENT, _status("$XDSFolderStatus")),
            association: (_ASSOCIATION_STATUS,),
        },
        shown=Shown.CURRENT_IN_ANY_STATUS,
    ),
    StoredQuery(
        query_id=v.GET_DOCUMENTS,
        name="GetDocuments",
        section="ITI TF-2 3.18.4.1.2.3.7.5",
        step=steps.find,
        on={document_entry: _by_any_id(_DE)},
        alternatives=_either(_DE, f"{_DE}LogicalID"),
        single_patient=True,
    ),
    StoredQuery(
        query_id=v.GET_FOLDERS,
        name="GetFolders",
        section="ITI TF-2 3.18.4.1.2.3.7.6",
        step=steps.find,
        on={folder: _by_any_id(_FD)},
        alternatives=_either(_FD, f"{_FD}LogicalID"),
        single_patient=True,
    ),
    StoredQuery(
        query_id=v.GET_ASSOCIATIONS,
        name="GetAssociations",
        section="ITI TF-2 3.18.4.1.2.3.7.7",
        step=steps.get_associations,
        on={association: (_ASSOCIATION_STATUS,)},
        free=(_UUIDS,),
    ),
    StoredQuery(
        query_id=v.GET_DOCUMENTS_AND_ASSOCIATIONS,
        name="GetDocumentsAndAssociations",
        section="ITI TF-2 3.18.4.1.2.3.7.8",
        step=steps.get_documents_and_associations,
        on={
            document_entry: _by_id(_DE, multiple=True),
            association: (_ASSOCIATION_STATUS,),
        },
        alternatives=_either(_DE),
        single_patient=True,
    ),
    StoredQuery(
        query_id=v.GET_SUBMISSION_SETS,
        name="GetSubmissionSets",
        section="ITI TF-2 3.18.4.1.2.3.7.9",
        step=steps.get_submission_sets,
        on={},
        free=(_UUIDS,),
        single_patient=True,
    ),
    StoredQuery(
        query_id=v.GET_SUBMISSION_SET_AND_CONTENTS,
        name="GetSubmissionSetAndContents",
        section="ITI TF-2 3.18.4.1.2.3.7.10",
        step=steps.get_submission_set_and_contents,
        on={submission_set: _by_id(_SS, multiple=False), document_entry: _CONTENT_FILTERS},
        alternatives=_either(_SS),
        single_patient=True,
    ),
    StoredQuery(
        query_id=v.GET_FOLDER_AND_CONTENTS,
        name="GetFolderAndContents",
        section="ITI TF-2 3.18.4.1.2.3.7.11",
        step=steps.get_folder_and_contents,
        on={
            folder: _by_id(_FD, multiple=False),
            document_entry: _CONTENT_FILTERS,
            association: (_ASSOCIATION_STATUS,),
        },
        alternatives=_either(_FD),
        single_patient=True,
    ),
    StoredQuery(
        query_id=v.GET_FOLDERS_FOR_DOCUMENT,
        name="GetFoldersForDocument",
        section="ITI TF-2 3.18.4.1.2.3.7.12",
        step=steps.get_folders_for_document,
        on={
            document_entry: _by_id(_DE, multiple=False),
            association: (_ASSOCIATION_STATUS,),
        },
        alternatives=_either(_DE),
    ),
    StoredQuery(
        query_id=v.GET_RELATED_DOCUMENTS,
        name="GetRelatedDocuments",
        section="ITI TF-2 3.18.4.1.2.3.7.13",
        step=steps.get_related_documents,
        on={
            document_entry: _by_id(_DE, multiple=False),
            association: (
                Parameter(
                    name="$AssociationTypes",
                    attribute="association_type",
                    required=True,
                    multiple=True,
                ),
                _ASSOCIATION_STATUS,
            ),
        },
        free=(_STABLE_BY_DEFAULT,),
        alternatives=_either(_DE),
    ),
    StoredQuery(
        query_id=v.FIND_DOCUMENTS_FOR_MULTIPLE_PATIENTS,
        name="FindDocumentsForMultiplePatients",
        section="ITI TF-2 3.51.4.1.2.3",
        step=steps.find,
        on={document_entry: _of_any_patient(FIND_DOCUMENTS)},
        alternatives=Alternatives(
            (
                "$XDSDocumentEntryPatientId",
                _CLASS_CODE.name,
                _EVENT_CODE_LIST.name,
                _FACILITY_TYPE_CODE.name,
            ),
            exclusive=False,
        ),
        transaction=ITI_51.name,
    ),
    StoredQuery(
        query_id=v.FIND_FOLDERS_FOR_MULTIPLE_PATIENTS,
        name="FindFoldersForMultiplePatients",
        section="ITI TF-2 3.51.4.1.2.3",
        step=steps.find,
        on={folder: _of_any_patient(FIND_FOLDERS)},
        shown=Shown.CURRENT_IN_ANY_STATUS,
        alternatives=Alternatives(("$XDSFolderPatientId", _FOLDER_CODE_LIST.name), exclusive=False),
        transaction=ITI_51.name,
    ),
)


def _with_level(query: StoredQuery) -> StoredQuery:
    """Return a query with $MetadataLevel, which all of ITI-18 have but that for SubmissionSets."""
    if query.transaction != ITI_18.name or query.query_id == v.FIND_SUBMISSION_SETS:
        return query
    return replace(query, free=(*query.free, _LEVEL))


STORED_QUERIES: Final[Mapping[str, StoredQuery]] = {row.query_id: _with_level(row) for row in _ROWS}


def answer(
    connection: Connection,
    request: QueryRequest,
    limits: ResultLimits,
    visible: Visibility,
    *,
    has_updates: bool = False,
) -> QueryResult:
    """Answer a stored query; raises TransactionFailure with the errors of ITI TF-2 3.18.4.1.3.

    What is not visible is as if it were not there, and counts for nothing. Paging is ebRS's own:
    the TF says nothing of it, and clients that do not ask get all. ``has_updates`` tells that the
    registry has the Document Metadata Update option; else its parameters are passed over.
    """
    query = STORED_QUERIES.get(request.query_id)
    if query is None or query.transaction != request.transaction:
        raise TransactionFailure([XDSUnknownStoredQuery(f"no stored query {request.query_id}")])
    if request.return_type not in (v.OBJECT_REF, v.LEAF_CLASS):
        raise TransactionFailure(
            [XDSRegistryError(f"returnType {request.return_type} is not ObjectRef or LeafClass")]
        )
    parameters = [one for one in query.parameters if has_updates or not one.of_updates]
    arguments = decode(request.slots, parameters, _alternatives(query, parameters))
    leaf_class = request.return_type == v.LEAF_CLASS
    most = limits.leaf_class if leaf_class else limits.object_ref
    columns = Columns.LEAF if leaf_class else Columns.REFERENCE
    is_whole = not has_updates or arguments.all(_LEVEL.name) == ("2",)
    search = Search(connection, columns, most, visible, Shown.ALL if is_whole else query.shown)
    result = _result(query, search, arguments, request.page)
    if leaf_class and query.single_patient:
        _require_one_patient(result.objects)
    return replace(result, warnings=passed_over(request.slots, parameters))


def _alternatives(query: StoredQuery, parameters: Sequence[Parameter]) -> Alternatives | None:
    """Return the alternatives of a query among the parameters that the registry knows."""
    if query.alternatives is None:
        return None
    known = {one.name for one in parameters}
    names = tuple(name for name in query.alternatives.names if name in known)
    return replace(query.alternatives, names=names)


def _result(
    query: StoredQuery, search: Search, arguments: Arguments, page: Page | None
) -> QueryResult:
    if page is not None and query.step is steps.find:
        (table,) = query.on
        wanted = query.criterion(table, arguments)
        return QueryResult(search.objects(table, wanted, page=page), search.count(table, wanted))
    found = query.step(query, search, arguments)
    search.require_few(found)
    if page is None:
        return QueryResult(found, len(found))
    end = None if page.size is None else page.start + page.size
    return QueryResult(found[page.start : end], len(found))


def _require_one_patient(found: list[FoundObject]) -> None:
    if len({one.patient_id for one in found if one.kind is not Association}) > 1:
        raise TransactionFailure(
            [XDSResultNotSinglePatient("the result is of several patients; ask for ObjectRef")]
        )
