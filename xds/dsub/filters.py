"""FILTERS: the stored queries that a subscription filters by (ITI TF-2 3.52.4.1.2.2).

A subscription is told of an object that its query would return, so that parameters are those of
the stored queries of ITI-18: conditions with AND, values of one with OR, patterns by LIKE. Other
than there, a parameter that is not known is refused.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from xds.dsub.faults import InvalidFilterFault
from xds.errors import TransactionFailure
from xds.metadata import vocabulary as v
from xds.metadata.criteria import Criterion, Operator, values_equal_to
from xds.metadata.datatypes import CX
from xds.metadata.ebrim import Slot
from xds.metadata.objects import DocumentEntry, Folder, MetadataObject, SubmissionSet
from xds.registry.queries.parameters import (
    PATTERN,
    Alternatives,
    Parameter,
    criterion_of,
    decode,
    passed_over,
)
from xds.registry.queries.stored_queries import FIND_DOCUMENTS, FIND_FOLDERS

_DE: Final = "$XDSDocumentEntry"
_SS: Final = "$XDSSubmissionSet"
_FD: Final = "$XDSFolder"
_BY_NAME: Final[Mapping[str, Parameter]] = {
    row.name: row for row in (*FIND_DOCUMENTS, *FIND_FOLDERS)
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionFilter:
    """One row of FILTERS."""

    query_id: str
    name: str
    kind: type[MetadataObject]
    """The kind of object that the query finds."""
    parameters: tuple[Parameter, ...]
    alternatives: Alternatives | None = None
    """Parameters of which at least one is needed."""

    def criterion(self, slots: Sequence[Slot]) -> Criterion:
        """Return what an object has to meet; InvalidFilterFault with all that is wrong."""
        try:
            arguments = decode(slots, self.parameters, self.alternatives)
        except TransactionFailure as failure:
            raise InvalidFilterFault(_sentence(e.code_context for e in failure.errors)) from None
        if unknown := passed_over(slots, self.parameters):
            names = ", ".join(one.attribute for one in unknown)
            raise InvalidFilterFault(f"No parameter of {self.name}: {names}.")
        criterion = criterion_of(self.parameters, arguments)
        for patient_id in values_equal_to([criterion], "patient_id"):
            try:
                CX.parse(patient_id)
            except ValueError as reason:
                raise InvalidFilterFault(f"The patient id is not a CX: {reason}.") from None
        return criterion


def _sentence(contexts: Iterable[str]) -> str:
    return "; ".join(contexts) + "."


def _some(prefix: str, *names: str) -> tuple[Parameter, ...]:
    return tuple(_BY_NAME[f"{prefix}{name}"] for name in names)


def _like(name: str, attribute: str) -> Parameter:
    return Parameter(
        name=name, attribute=attribute, kind=PATTERN, operator=Operator.LIKE, multiple=True
    )


def _any_of(parameters: Iterable[Parameter]) -> Alternatives:
    return Alternatives(tuple(one.name for one in parameters), exclusive=False)


_KINDS_OF_DOCUMENT: Final = _some(
    _DE, "ClassCode", "TypeCode", "PracticeSettingCode", "HealthcareFacilityTypeCode"
)
_CONTENT_OF_DOCUMENT: Final = _some(
    _DE, "EventCodeList", "ConfidentialityCode", "FormatCode", "AuthorPerson"
)
_OF_SUBMISSION_SET: Final = (
    Parameter(name=f"{_SS}SourceId", attribute="source_id", multiple=True),
    _like(f"{_SS}AuthorPerson", "author"),
    _like(f"{_SS}IntendedRecipient", "intended_recipient"),
)
_AUTHOR_OF_SUBMISSION_SET: Final = _like(f"{_SS}Author", "author")
"""Of the option Patient-Independent Subscription, whose text calls it so."""

_ROWS: Final = (
    SubscriptionFilter(
        query_id=v.SUBSCRIPTION_FOR_DOCUMENT_ENTRY,
        name="Subscription for DocumentEntry",
        kind=DocumentEntry,
        parameters=(
            *_some(_DE, "PatientId"),
            *_KINDS_OF_DOCUMENT,
            *_CONTENT_OF_DOCUMENT,
            Parameter(
                name=f"{_DE}ReferenceIdList",
                attribute="reference_id_list",
                multiple=True,
                conjunctive=True,
            ),
        ),
    ),
    SubscriptionFilter(
        query_id=v.SUBSCRIPTION_FOR_SUBMISSION_SET,
        name="Subscription for SubmissionSet",
        kind=SubmissionSet,
        parameters=(
            Parameter(name=f"{_SS}PatientId", attribute="patient_id", required=True),
            *_OF_SUBMISSION_SET,
        ),
    ),
    SubscriptionFilter(
        query_id=v.SUBSCRIPTION_FOR_FOLDER,
        name="Subscription for Folder",
        kind=Folder,
        parameters=(
            *_some(_FD, "PatientId", "CodeList"),
            Parameter(name=f"{_FD}UniqueId", attribute="unique_id", multiple=True),
        ),
    ),
    SubscriptionFilter(
        query_id=v.SUBSCRIPTION_FOR_PATIENT_INDEPENDENT_DOCUMENT_ENTRY,
        name="Subscription for Patient-Independent DocumentEntry",
        kind=DocumentEntry,
        parameters=(*_KINDS_OF_DOCUMENT, *_CONTENT_OF_DOCUMENT),
        alternatives=_any_of(_KINDS_OF_DOCUMENT),
    ),
    SubscriptionFilter(
        query_id=v.SUBSCRIPTION_FOR_PATIENT_INDEPENDENT_SUBMISSION_SET,
        name="Subscription for Patient-Independent SubmissionSet",
        kind=SubmissionSet,
        parameters=(
            *_OF_SUBMISSION_SET,
            _AUTHOR_OF_SUBMISSION_SET,
        ),
        alternatives=_any_of((*_OF_SUBMISSION_SET, _AUTHOR_OF_SUBMISSION_SET)),
    ),
)

FILTERS: Final[Mapping[str, SubscriptionFilter]] = {row.query_id: row for row in _ROWS}
"""By the ids of their queries."""


def filter_of(query_id: str, kind: type[MetadataObject]) -> SubscriptionFilter:
    """Return the filter for a topic about a kind of object; InvalidFilterFault."""
    found = FILTERS.get(query_id)
    if found is None:
        raise InvalidFilterFault("The stored query of the filter is none of a subscription.")
    if found.kind is not kind:
        raise InvalidFilterFault(
            f"The stored query of the filter finds a {found.kind.KIND}, and the topic is of "
            f"a {kind.KIND}."
        )
    return found
