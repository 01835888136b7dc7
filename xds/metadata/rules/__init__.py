"""SUBMISSION_RULES: a row for each rule that a submission is held to (ITI TF-2 3.42.4.1.3).

A rule is a pure function from a :class:`~xds.metadata.rules.case.Case` to findings; the row adds
the TF error code, the section, and the transactions it is part of. All rules run, so that a
submitter learns every error at once.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from xds.errors import (
    RegistryError,
    UnresolvedReferenceException,
    XDSDuplicateUniqueIdInRegistry,
    XDSNonIdenticalHash,
    XDSNonIdenticalSize,
    XDSPatientIdDoesNotMatch,
    XDSRegistryDeprecatedDocumentError,
    XDSRegistryDuplicateUniqueIdInMessage,
    XDSRegistryMetadataError,
    XDSUnknownPatientId,
)
from xds.metadata.catalogue import ITI_42, ITI_61
from xds.metadata.rules import attributes, relations, structure
from xds.metadata.rules.case import Case, Findings, Policy, RegisteredObject, RegistryState, label

STABLE: Final = frozenset({ITI_42.name})
ON_DEMAND: Final = frozenset({ITI_61.name})
BOTH: Final = STABLE | ON_DEMAND


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: its check, the error of a violation, its section of the TF, where it applies."""

    check: Callable[[Case], Findings]
    error: type[RegistryError]
    section: str
    transactions: frozenset[str] = BOTH

    @property
    def name(self) -> str:
        """The name of the check, which names the rule in documents and tests."""
        return self.check.__name__

    def errors(self, case: Case) -> list[RegistryError]:
        """Return an error for every violation; its location is the object's id as submitted."""
        return [
            self.error(
                f"{label(found.subject)}: {found.message}",
                found.subject.id,
                attribute=found.attribute,
                rule=self.name,
            )
            for found in self.check(case)
        ]


_METADATA = XDSRegistryMetadataError
_UNRESOLVED = UnresolvedReferenceException
_DEPRECATED = XDSRegistryDeprecatedDocumentError
_MISMATCH = XDSPatientIdDoesNotMatch

SUBMISSION_RULES: Final[tuple[Rule, ...]] = (
    Rule(structure.only_xds_objects, _METADATA, "ITI TF-3 4.1.4"),
    Rule(structure.one_submission_set, _METADATA, "ITI TF-3 4.1.4"),
    Rule(structure.something_to_share, _METADATA, "ITI TF-3 4.1.4"),
    Rule(structure.distinct_ids, _METADATA, "ITI TF-3 4.2.1"),
    Rule(structure.member_of_submission_set, _METADATA, "ITI TF-3 4.1.4"),
    Rule(structure.parts_name_their_owner, _METADATA, "ITI TF-3 4.2.3.1"),
    Rule(structure.association_types, _METADATA, "ITI TF-3 4.2.2"),
    Rule(structure.has_member_ends, _METADATA, "ITI TF-3 4.2.2.1"),
    Rule(structure.distinct_ends, _METADATA, "ITI TF-3 4.2.2"),
    Rule(structure.submission_set_status, _METADATA, "ITI TF-3 4.2.2.1.1"),
    Rule(structure.uuids_in_lower_case, _METADATA, "ITI TF-3 4.2.3.1.1"),
    Rule(structure.first_version, _METADATA, "ITI TF-3 4.1.5"),
    Rule(structure.limited_metadata, _METADATA, "ITI TF-3 4.2.3.2.31"),
    Rule(structure.slot_names, _METADATA, "ITI TF-3 4.2.3.1.6"),
    Rule(attributes.required, _METADATA, "ITI TF-3 4.3.1"),
    Rule(attributes.forbidden, _METADATA, "ITI TF-3 4.3.1", ON_DEMAND),
    Rule(attributes.cardinality, _METADATA, "ITI TF-3 4.2.3"),
    Rule(attributes.data_types, _METADATA, "ITI TF-3 4.2.3.1.7"),
    Rule(attributes.object_types, _METADATA, "ITI TF-2 3.42.4.1.3, 3.61.4.1.3"),
    Rule(attributes.codes, _METADATA, "ITI TF-3 4.2.3.1.2"),
    Rule(attributes.codes_of_the_domain, _METADATA, "ITI TF-2 3.42.4.1.3"),
    Rule(attributes.mime_types_of_the_domain, _METADATA, "ITI TF-2 3.42.4.1.3"),
    Rule(attributes.source_patient_infos, _METADATA, "ITI TF-3 4.2.3.2.23"),
    Rule(attributes.authors, _METADATA, "ITI TF-3 4.2.3.1.4"),
    Rule(attributes.service_times, _METADATA, "ITI TF-3 4.2.3.2.20"),
    Rule(relations.references_resolve, _UNRESOLVED, "ITI TF-2 3.42.4.1.3.3"),
    Rule(relations.relationship_ends, _UNRESOLVED, "ITI TF-3 4.2.2.2"),
    Rule(relations.approved_documents, _DEPRECATED, "ITI TF-2 3.42.4.1.3.3"),
    Rule(relations.approved_folders, _METADATA, "ITI TF-2 3.42.4.1.3.3"),
    Rule(relations.snapshots, _METADATA, "ITI TF-3 4.2.2.2.6"),
    Rule(relations.no_addendum_to_transformation, _METADATA, "ITI TF-3 4.2.2.2.2"),
    Rule(
        relations.distinct_unique_ids, XDSRegistryDuplicateUniqueIdInMessage, "ITI TF-2 3.42.4.1.3"
    ),
    Rule(relations.unused_unique_ids, XDSDuplicateUniqueIdInRegistry, "ITI TF-2 3.42.4.1.3"),
    Rule(relations.identical_hash, XDSNonIdenticalHash, "ITI TF-2 3.42.4.1.3", STABLE),
    Rule(relations.identical_size, XDSNonIdenticalSize, "ITI TF-2 3.42.4.1.3", STABLE),
    Rule(relations.no_stable_twin, _METADATA, "ITI TF-2 3.61.4.1.3", ON_DEMAND),
    Rule(relations.unused_uuids, _METADATA, "ITI TF-2 3.42.4.1.3"),
    Rule(relations.assigning_authority, XDSUnknownPatientId, "ITI TF-2 3.42.4.1.3"),
    Rule(relations.known_patients, XDSUnknownPatientId, "ITI TF-2 3.42.4.1.3"),
    Rule(relations.one_patient, _MISMATCH, "ITI TF-2 3.42.4.1.3"),
    Rule(relations.patient_of_document, _MISMATCH, "ITI TF-3 4.2.3.2.26"),
    Rule(relations.related_patients, _MISMATCH, "ITI TF-3 4.2.2"),
    Rule(relations.inherited_folders, _MISMATCH, "ITI TF-2 3.42.4.1.3.3"),
)


def violations(case: Case) -> list[RegistryError]:
    """Return every error of a submission, rule by rule; empty where it is lawful."""
    return [
        error
        for rule in SUBMISSION_RULES
        if case.transaction in rule.transactions
        for error in rule.errors(case)
    ]


__all__ = [
    "SUBMISSION_RULES",
    "Case",
    "Policy",
    "RegisteredObject",
    "RegistryState",
    "Rule",
    "violations",
]
