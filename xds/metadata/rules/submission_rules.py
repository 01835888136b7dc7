"""SUBMISSION_RULES: a row for each rule that a submission is held to (ITI TF-2 3.42.4.1.3).

A rule holds for the kinds of submission that its row names: registrations, updates, or some of
them. It is a pure function from a :class:`~xds.metadata.rules.case.Case` to findings; the row adds
the TF error code and the section. All rules run, so that a submitter learns every error at once.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

from xds.errors import (
    LocalPolicyRestrictionError,
    RegistryError,
    UnmodifiableMetadataError,
    UnresolvedReferenceException,
    XDSDuplicateUniqueIdInRegistry,
    XDSInvalidRequestException,
    XDSMetadataAnnotationError,
    XDSMetadataIdentifierError,
    XDSMetadataUpdateError,
    XDSMetadataUpdateOperationError,
    XDSMetadataVersionError,
    XDSNonIdenticalHash,
    XDSNonIdenticalSize,
    XDSObjectTypeError,
    XDSPatientIdDoesNotMatch,
    XDSPatientIDReconciliationError,
    XDSRegistryDeprecatedDocumentError,
    XDSRegistryDuplicateUniqueIdInMessage,
    XDSRegistryMetadataError,
    XDSUnknownCommunity,
    XDSUnknownPatientId,
)
from xds.metadata.catalogue import ITI_42, ITI_57, ITI_61, ITI_92
from xds.metadata.rules import attributes, relations, restricted, structure, updates
from xds.metadata.rules.case import Case, Finding, Findings, label

STABLE: Final = frozenset({ITI_42.name})
ON_DEMAND: Final = frozenset({ITI_61.name})
REGISTRATIONS: Final = STABLE | ON_DEMAND
"""Submissions of what is new."""
UPDATE: Final = frozenset({ITI_57.name})
RESTRICTED: Final = frozenset({ITI_92.name})
UPDATES: Final = UPDATE | RESTRICTED
"""Submissions that change what is registered."""
EVERY: Final = REGISTRATIONS | UPDATES


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: its check, the error of a violation, its section of the TF, where it applies."""

    check: Callable[[Case], Findings]
    error: type[RegistryError]
    section: str
    transactions: frozenset[str] = EVERY

    @property
    def name(self) -> str:
        """The name of the check, which names the rule in documents and tests."""
        return self.check.__name__

    def error_of(self, found: Finding) -> RegistryError:
        """Return the error of a violation; its location is the object's id as submitted."""
        return self.error(
            f"{label(found.subject)}: {found.message}",
            found.subject.id,
            attribute=found.attribute,
            rule=self.name,
            value=found.value,
        )


_METADATA = XDSRegistryMetadataError
_UNRESOLVED = UnresolvedReferenceException
_DEPRECATED = XDSRegistryDeprecatedDocumentError
_MISMATCH = XDSPatientIdDoesNotMatch
_UPDATE = XDSMetadataUpdateError
_RECONCILIATION = XDSPatientIDReconciliationError
_MU = "ITI TF-2 3.57.4.1.3"
_RMU = "ITI TF-2 3.92.4.1.3"

SUBMISSION_RULES: Final[tuple[Rule, ...]] = (
    Rule(structure.only_xds_objects, _METADATA, "ITI TF-3 4.1.4"),
    Rule(structure.one_submission_set, _METADATA, "ITI TF-3 4.1.4"),
    Rule(structure.something_to_share, _METADATA, "ITI TF-3 4.1.4", REGISTRATIONS),
    Rule(structure.distinct_ids, _METADATA, "ITI TF-3 4.2.1"),
    Rule(structure.member_of_submission_set, _METADATA, "ITI TF-3 4.1.4", REGISTRATIONS),
    Rule(structure.parts_name_their_owner, _METADATA, "ITI TF-3 4.2.3.1"),
    Rule(structure.association_types, _METADATA, "ITI TF-3 4.2.2"),
    Rule(structure.has_member_ends, _METADATA, "ITI TF-3 4.2.2.1"),
    Rule(structure.distinct_ends, _METADATA, "ITI TF-3 4.2.2"),
    Rule(structure.submission_set_status, _METADATA, "ITI TF-3 4.2.2.1.1"),
    Rule(structure.uuids_in_lower_case, _METADATA, "ITI TF-3 4.2.3.1.1"),
    Rule(structure.first_version, _METADATA, "ITI TF-3 4.1.5", REGISTRATIONS),
    Rule(structure.limited_metadata, _METADATA, "ITI TF-3 4.2.3.2.31"),
    Rule(structure.slot_names, _METADATA, "ITI TF-3 4.2.3.1.6"),
    Rule(attributes.required, _METADATA, "ITI TF-3 4.3.1"),
    Rule(attributes.forbidden, _METADATA, "ITI TF-3 4.3.1", ON_DEMAND | UPDATES),
    Rule(attributes.cardinality, _METADATA, "ITI TF-3 4.2.3"),
    Rule(attributes.data_types, _METADATA, "ITI TF-3 4.2.3.1.7"),
    Rule(attributes.object_types, _METADATA, "ITI TF-2 3.42.4.1.3, 3.61.4.1.3", REGISTRATIONS),
    Rule(attributes.codes, _METADATA, "ITI TF-3 4.2.3.1.2"),
    Rule(attributes.codes_of_the_domain, _METADATA, "ITI TF-2 3.42.4.1.3"),
    Rule(attributes.mime_types_of_the_domain, _METADATA, "ITI TF-2 3.42.4.1.3"),
    Rule(attributes.source_patient_infos, _METADATA, "ITI TF-3 4.2.3.2.23"),
    Rule(attributes.authors, _METADATA, "ITI TF-3 4.2.3.1.4"),
    Rule(attributes.service_times, _METADATA, "ITI TF-3 4.2.3.2.20"),
    Rule(relations.references_resolve, _UNRESOLVED, "ITI TF-2 3.42.4.1.3.3"),
    Rule(relations.relationship_ends, _UNRESOLVED, "ITI TF-3 4.2.2.2", REGISTRATIONS),
    Rule(relations.approved_documents, _DEPRECATED, "ITI TF-2 3.42.4.1.3.3", REGISTRATIONS),
    Rule(relations.approved_folders, _METADATA, "ITI TF-2 3.42.4.1.3.3", REGISTRATIONS),
    Rule(relations.snapshots, _METADATA, "ITI TF-3 4.2.2.2.6"),
    Rule(relations.no_addendum_to_transformation, _METADATA, "ITI TF-3 4.2.2.2.2"),
    Rule(
        relations.distinct_unique_ids, XDSRegistryDuplicateUniqueIdInMessage, "ITI TF-2 3.42.4.1.3"
    ),
    Rule(relations.unused_unique_ids, XDSDuplicateUniqueIdInRegistry, "ITI TF-2 3.42.4.1.3"),
    Rule(relations.identical_hash, XDSNonIdenticalHash, "ITI TF-2 3.42.4.1.3", STABLE | UPDATES),
    Rule(relations.identical_size, XDSNonIdenticalSize, "ITI TF-2 3.42.4.1.3", STABLE | UPDATES),
    Rule(relations.no_stable_twin, _METADATA, "ITI TF-2 3.61.4.1.3", ON_DEMAND),
    Rule(relations.unused_uuids, _METADATA, "ITI TF-2 3.42.4.1.3"),
    Rule(relations.assigning_authority, XDSUnknownPatientId, "ITI TF-2 3.42.4.1.3"),
    Rule(relations.known_patients, XDSUnknownPatientId, "ITI TF-2 3.42.4.1.3"),
    Rule(relations.one_patient, _MISMATCH, "ITI TF-2 3.42.4.1.3", REGISTRATIONS),
    Rule(relations.one_patient, _RECONCILIATION, _MU, UPDATES),
    Rule(relations.patient_of_document, _MISMATCH, "ITI TF-3 4.2.3.2.26", REGISTRATIONS),
    Rule(relations.patient_of_document, _RECONCILIATION, "ITI TF-3 4.2.3.2.26", UPDATES),
    Rule(relations.related_patients, _MISMATCH, "ITI TF-3 4.2.2", REGISTRATIONS),
    Rule(relations.inherited_folders, _MISMATCH, "ITI TF-2 3.42.4.1.3.3", REGISTRATIONS),
    Rule(restricted.home_of_community, XDSUnknownCommunity, _RMU, RESTRICTED),
    Rule(restricted.propagates_always, XDSMetadataAnnotationError, _RMU, RESTRICTED),
    Rule(updates.later_version, XDSInvalidRequestException, f"{_MU}, 3.92.4.1.3", UPDATES),
    Rule(restricted.only_document_entries, XDSObjectTypeError, _RMU, RESTRICTED),
    Rule(updates.operations, XDSMetadataUpdateOperationError, _MU, UPDATE),
    Rule(updates.annotated_versions, XDSMetadataUpdateOperationError, _MU, UPDATE),
    Rule(updates.registered_logical_objects, _UNRESOLVED, f"{_MU}, 3.92.4.1.3", UPDATES),
    Rule(updates.stated_previous_version, XDSMetadataVersionError, _RMU, RESTRICTED),
    Rule(updates.latest_previous_version, XDSMetadataVersionError, f"{_MU}, 3.92.4.1.3", UPDATES),
    Rule(updates.same_identifiers, XDSMetadataIdentifierError, f"{_MU}, 3.92.4.1.3", UPDATES),
    Rule(updates.same_object_type, XDSMetadataIdentifierError, _MU, UPDATE),
    Rule(updates.same_object_type, XDSObjectTypeError, _RMU, RESTRICTED),
    Rule(restricted.same_patient, _RECONCILIATION, _RMU, RESTRICTED),
    Rule(restricted.unmodified, UnmodifiableMetadataError, _RMU, RESTRICTED),
    Rule(restricted.changeable_here, LocalPolicyRestrictionError, _RMU, RESTRICTED),
    Rule(updates.one_change_of_each, _UPDATE, f"{_MU}, 3.92.4.1.3", UPDATES),
    Rule(updates.approved_folder_versions, _UPDATE, _MU, UPDATE),
    Rule(updates.propagation, _UPDATE, _MU, UPDATE),
    Rule(updates.status_changes, _UPDATE, _MU, UPDATE),
    Rule(updates.not_replaced, _UPDATE, "ITI TF-2 3.42.4.1.3.3", UPDATE),
    Rule(updates.submitted_ends, _UPDATE, _MU, UPDATE),
    Rule(updates.no_deprecated_ends, _UPDATE, _MU, UPDATE),
    Rule(updates.reconciled_patients, _RECONCILIATION, _MU, UPDATES),
)


def violations(case: Case) -> list[RegistryError]:
    """Return every error of a submission, rule by rule; empty where it is lawful."""
    return [
        rule.error_of(found) for rule, check in _rules_of(case.transaction) for found in check(case)
    ]


@cache
def _rules_of(transaction: str) -> Sequence[tuple[Rule, Callable[[Case], Findings]]]:
    return [(one, one.check) for one in SUBMISSION_RULES if transaction in one.transactions]
