"""The errors of the transactions: one class for each code, named as the code (ITI TF-3 4.2.4).

    Exception                         .failure_kind: who has to do something about it (kind_of)
    ├── TransactionFailure            a transaction is refused, for all of its .errors
    ├── RequestRefused                a request is refused in the terms of its binding
    └── RegistryError                 one rs:RegistryError
        ├── the metadata is wrong     XDSRegistryMetadataError, XDSRepositoryMetadataError,
        │                             InvalidDocumentContent, UnresolvedReferenceException
        ├── documents and entries     XDSMissingDocument, XDSMissingDocumentMetadata,
        │   do not fit                XDSNonIdenticalHash, XDSNonIdenticalSize
        ├── identifiers               XDSDuplicateUniqueIdInRegistry,
        │                             XDSRegistryDuplicateUniqueIdInMessage,
        │                             XDSRepositoryDuplicateUniqueIdInMessage
        ├── patient and status        XDSUnknownPatientId, XDSPatientIdDoesNotMatch,
        │                             XDSRegistryDeprecatedDocumentError
        ├── queries                   XDSUnknownStoredQuery, XDSStoredQueryMissingParam,
        │                             XDSStoredQueryParamNumber, XDSResultNotSinglePatient,
        │                             XDSTooManyResults
        ├── retrieval                 XDSDocumentUniqueIdError, XDSUnknownRepositoryId
        ├── communities               XDSMissingHomeCommunityId, XDSUnknownCommunity,
        │                             XDSUnavailableCommunity
        ├── updates                   XDSMetadataUpdateError, XDSMetadataUpdateOperationError,
        │                             XDSMetadataVersionError, XDSMetadataIdentifierError,
        │                             XDSMetadataAnnotationError, XDSInvalidRequestException,
        │                             XDSObjectTypeError, XDSPatientIDReconciliationError,
        │                             UnmodifiableMetadataError, LocalPolicyRestrictionError
        ├── removal                   ReferencesExistException, XDSUnreferencedObjectException,
        │                             XDSRemoveDocumentsError
        ├── the server cannot         XDSRegistryError, XDSRepositoryError,
        │                             XDSRegistryBusy, XDSRepositoryBusy,
        │                             XDSRegistryOutOfResources, XDSRepositoryOutOfResources,
        │                             XDSRegistryNotAvailable
        └── RegistryWarning           does not fail the transaction:
                                      XDSExtraMetadataNotSaved, DocumentQueued, Partial...

Services raise these, only the bindings render them. The text of an exception is its code
alone, because a code context may name a patient and exceptions end up in logs.
"""

from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from enum import StrEnum
from typing import Final, NamedTuple, Self

ERROR_SEVERITY: Final = "urn:oasis:names:tc:ebxml-regrep:ErrorSeverityType:Error"
WARNING_SEVERITY: Final = "urn:oasis:names:tc:ebxml-regrep:ErrorSeverityType:Warning"


class FailureKind(StrEnum):
    """Why a request is not answered as it was meant: what every binding decides its answer by."""

    MALFORMED = "malformed"
    """It is no message of its binding."""
    REFUSED = "refused"
    """What it says or asks for is wrong, unknown, or in conflict with what there is."""
    DENIED = "denied"
    """Its sender may not do this, or nobody vouches for the sender."""
    SLOW = "slow"
    """Its sender took too long."""
    BUSY = "busy"
    """The server has too much to do."""
    FULL = "full"
    """The server has no room left."""
    UNAVAILABLE = "unavailable"
    """The database, the store, or another system that is needed cannot be used now."""
    INTERNAL = "internal"
    """A fault of the server, which its log tells of."""


def kind_of(error: BaseException) -> FailureKind:
    """Return the kind of a failure: what its class says of itself, else INTERNAL.

    This is the one place that tells refusals from failures of the server. Answers, metrics, log
    and audit all go by it.
    """
    kind: FailureKind = getattr(error, "failure_kind", FailureKind.INTERNAL)
    return kind


class Violation(NamedTuple):
    """What one error of a refusal says that may stand in a log: no value of any message."""

    code: str
    """The error code, of the TF, of HL7 or of FHIR."""
    attribute: str = ""
    """What is wrong: an attribute, a parameter or a place in the message."""
    rule: str = ""
    """The rule that is broken, by its name in xds.metadata.rules."""


class Explanation(NamedTuple):
    """What one error of a refusal says to who asked: it may have values of the message.

    So it stands in no log; :class:`Violation` is what may.
    """

    violation: Violation
    context: str
    """The sentence: codeContext of ebRS, diagnostics of FHIR."""
    location: str = ""
    """The object, or the place in the message."""
    value: str = ""
    """The value that is wrong, where that is a code: ``code^^codingScheme``."""


class RegistryError(Exception):
    """One rs:RegistryError: what was wrong, and where (ITI TF-3 4.2.4). Use a subclass."""

    code: str = ""
    severity: str = ERROR_SEVERITY

    def __init_subclass__(cls) -> None:
        cls.code = cls.__name__

    def __init__(
        self,
        code_context: str,
        location: str = "",
        *,
        attribute: str = "",
        rule: str = "",
        value: str = "",
    ) -> None:
        # only the code becomes an argument of Exception: str() and repr() show those
        super().__init__(self.code)
        self.code_context = code_context
        self.location = location
        # for bindings that have a place of their own for what ebRS puts into a sentence
        self.attribute = attribute
        self.rule = rule
        self.value = value

    def as_warning(self) -> Self:
        """Return it as one that does not fail the transaction: of the severity Warning."""
        warning = copy(self)
        warning.severity = WARNING_SEVERITY
        return warning

    @property
    def violation(self) -> Violation:
        """What of it may be logged."""
        return Violation(self.code, self.attribute, self.rule)

    @property
    def explanation(self) -> Explanation:
        """What its sender is told of it."""
        return Explanation(self.violation, self.code_context, self.location, self.value)

    @staticmethod
    def passed_on(
        code: str, code_context: str, location: str = "", severity: str = ERROR_SEVERITY
    ) -> "RegistryError":
        """Return what another actor reported, whatever its code (ITI TF-2 3.41.4.1.3)."""
        error = RegistryError.__new__(RegistryError)
        error.code, error.severity = code, severity
        RegistryError.__init__(error, code_context, location)
        return error


_OF_SERVER: Final[Mapping[str, FailureKind]] = {
    "XDSRegistryBusy": FailureKind.BUSY,
    "XDSRepositoryBusy": FailureKind.BUSY,
    "XDSRegistryOutOfResources": FailureKind.FULL,
    "XDSRepositoryOutOfResources": FailureKind.FULL,
    "XDSRegistryNotAvailable": FailureKind.UNAVAILABLE,
    "XDSUnavailableCommunity": FailureKind.UNAVAILABLE,
}
"""The error codes that are not the request's fault (ITI TF-3 4.2.4.1)."""


def kind_of_errors(errors: Iterable[RegistryError]) -> FailureKind:
    """Return the kind of a refusal for several errors: the server's fault where one of them is."""
    kinds = (_OF_SERVER.get(one.code) for one in errors if one.severity == ERROR_SEVERITY)
    return next(filter(None, kinds), FailureKind.REFUSED)


class RegistryWarning(RegistryError):
    """Something worth telling that does not fail the transaction. Use a subclass."""

    severity: str = WARNING_SEVERITY


class RequestRefused(Exception):
    """A binding refuses a request in its own terms, for what is wrong with it. Use a subclass."""

    failure_kind = FailureKind.REFUSED

    @property
    def violations(self) -> Sequence[Violation]:
        """What is wrong, as far as a log may tell."""
        return ()

    @property
    def explanations(self) -> Sequence[Explanation]:
        """What is wrong, as who asked is told."""
        return ()


class TransactionFailure(Exception):
    """A transaction is refused as a whole; nothing of it was stored."""

    errors: tuple[RegistryError, ...]

    def __init__(self, errors: Iterable[RegistryError]) -> None:
        self.errors = tuple(errors)
        if all(error.severity == WARNING_SEVERITY for error in self.errors):
            raise ValueError("a refused transaction needs at least one error")
        super().__init__(self.errors)

    @property
    def failure_kind(self) -> FailureKind:
        """Whose fault it is."""
        return kind_of_errors(self.errors)

    @property
    def violations(self) -> Sequence[Violation]:
        """What is wrong, as far as a log may tell."""
        return tuple(error.violation for error in self.errors)

    @property
    def explanations(self) -> Sequence[Explanation]:
        """What is wrong, as who asked is told."""
        return tuple(error.explanation for error in self.errors)

    def __str__(self) -> str:
        return ", ".join(error.code for error in self.errors)


# The metadata is wrong


class XDSRegistryMetadataError(RegistryError):
    """The Registry finds the metadata wrong (issued in ITI-41, 42, 61)."""


class XDSRepositoryMetadataError(RegistryError):
    """The Repository finds the metadata wrong (issued in ITI-41, 42)."""


class InvalidDocumentContent(RegistryError):
    """A document breaks its content rules or its metadata; context: uniqueId (ITI-41, 92)."""


class UnresolvedReferenceException(RegistryError):
    """An entryUUID leads to no object (issued in ITI-41, 42, 61, 57, 62, 92)."""


# Documents and entries do not fit


class XDSMissingDocument(RegistryError):
    """A DocumentEntry came without its document (issued in ITI-41)."""


class XDSMissingDocumentMetadata(RegistryError):
    """A document came without its DocumentEntry (issued in ITI-41)."""


class XDSNonIdenticalHash(RegistryError):
    """The uniqueId is in use with another hash; context: uniqueId (issued in ITI-41, 42)."""


class XDSNonIdenticalSize(RegistryError):
    """The uniqueId is in use with another size; context: uniqueId (issued in ITI-41, 42)."""


# Identifiers


class XDSDuplicateUniqueIdInRegistry(RegistryError):
    """The uniqueId of a SubmissionSet or Folder is in use already (issued in ITI-41, 42, 61)."""


class XDSRegistryDuplicateUniqueIdInMessage(RegistryError):
    """The Registry meets a uniqueId twice in one message (issued in ITI-41, 42, 61)."""


class XDSRepositoryDuplicateUniqueIdInMessage(RegistryError):
    """The Repository meets a uniqueId twice in one message (issued in ITI-41, 42)."""


# Patient and status


class XDSUnknownPatientId(RegistryError):
    """The patient is not known; context: the id (issued in ITI-18, 38, 41, 42, 51, 61)."""


class XDSPatientIdDoesNotMatch(RegistryError):
    """Objects of one submission belong to different patients (issued in ITI-41, 42, 61)."""


class XDSRegistryDeprecatedDocumentError(RegistryError):
    """An Association would touch a deprecated DocumentEntry (issued in ITI-41, 42, 61)."""


# Queries


class XDSUnknownStoredQuery(RegistryError):
    """There is no stored query of this id (issued in ITI-18, 38, 51)."""


class XDSStoredQueryMissingParam(RegistryError):
    """A required query parameter is missing (issued in ITI-18, 38, 51)."""


class XDSStoredQueryParamNumber(RegistryError):
    """A query parameter has too many values (issued in ITI-18, 38, 51)."""


class XDSResultNotSinglePatient(RegistryError):
    """The answer would mix patients (issued in ITI-18, 38, 39, 43, 51)."""


class XDSTooManyResults(RegistryError):
    """The answer would be larger than this server allows (issued in ITI-18, 38, 39, 43, 51)."""


# Retrieval


class XDSDocumentUniqueIdError(RegistryError):
    """The document is not to be had under this uniqueId (issued in ITI-39, 43, 86)."""


class XDSUnknownRepositoryId(RegistryError):
    """The repositoryUniqueId is unknown or not one's own (issued in ITI-39, 43, 86)."""


# Communities


class XDSMissingHomeCommunityId(RegistryError):
    """A homeCommunityId is required and missing (issued in ITI-18, 38, 39, 43, 51, 92)."""


class XDSUnknownCommunity(RegistryError):
    """The homeCommunityId is not recognised (issued in ITI-18, 38, 39, 43, 51, 92)."""


class XDSUnavailableCommunity(RegistryError):
    """A community cannot be reached by its gateway (issued in ITI-18, 43, 51, 92)."""


# Updates


class XDSMetadataUpdateError(RegistryError):
    """The update fails and no other code fits better (issued in ITI-57, 92)."""


class XDSMetadataUpdateOperationError(RegistryError):
    """An object asks for no update operation, or for several (issued in ITI-57)."""


class XDSMetadataVersionError(RegistryError):
    """PreviousVersion is not the latest version (issued in ITI-57, 92)."""


class XDSMetadataIdentifierError(RegistryError):
    """An identifier differs from that of the object to update (issued in ITI-57, 92)."""


class XDSMetadataAnnotationError(RegistryError):
    """The SubmissionSet's HasMember carries a wrong annotation (issued in ITI-92)."""


class XDSInvalidRequestException(RegistryError):
    """An update brings the first version of an object (issued in ITI-57, 92)."""


class XDSObjectTypeError(RegistryError):
    """The objectType cannot be updated, or differs (issued in ITI-92)."""


class XDSPatientIDReconciliationError(RegistryError):
    """The update would leave objects of different patients together (issued in ITI-57, 92)."""


class UnmodifiableMetadataError(RegistryError):
    """The update changes an attribute that must not change (issued in ITI-92)."""


class LocalPolicyRestrictionError(RegistryError):
    """Local policy forbids the update (issued in ITI-92)."""


# Removal


class ReferencesExistException(RegistryError):
    """An Association that stays still points at the object (issued in ITI-62)."""


class XDSUnreferencedObjectException(RegistryError):
    """The removal would leave an object in no SubmissionSet (issued in ITI-62)."""


class XDSRemoveDocumentsError(RegistryError):
    """The document could not be deleted; context: uniqueId (issued in ITI-86)."""


# The server cannot


class XDSRegistryError(RegistryError):
    """The Registry fails and no other code fits better (issued in ITI-18, 38, 41, 42, 51, 62)."""


class XDSRepositoryError(RegistryError):
    """The Repository fails and no other code fits better (issued in ITI-39, 41, 43, 86)."""


class XDSRegistryBusy(RegistryError):
    """The Registry has too much to do (issued in ITI-18, 38, 41, 42, 51)."""


class XDSRepositoryBusy(RegistryError):
    """The Repository has too much to do (issued in ITI-39, 41, 43)."""


class XDSRegistryOutOfResources(RegistryError):
    """The Registry runs short of resources (issued in ITI-18, 38, 41, 42, 51, 62)."""


class XDSRepositoryOutOfResources(RegistryError):
    """The Repository runs short of resources (issued in ITI-39, 41, 43, 86)."""


class XDSRegistryNotAvailable(RegistryError):
    """The Repository cannot reach the Registry (issued in ITI-41)."""


# Warnings


class XDSExtraMetadataNotSaved(RegistryWarning):
    """Extra metadata was accepted and not kept (issued in ITI-41, 42, 61)."""


class DocumentQueued(RegistryWarning):
    """An XDR recipient set the document aside for manual work (issued in ITI-41)."""


# XDR recipients only. ITI-41 writes "Content" also into the last two; the names here are
# those of the error table, ITI TF-3 4.2.4.


class PartialAppendContentNotProcessed(RegistryWarning):
    """An XDR recipient ignored the meaning of an addendum (issued in ITI-41)."""


class PartialFolderContentNotProcessed(RegistryWarning):
    """An XDR recipient ignored Folders (issued in ITI-41)."""


class PartialRelationshipContentNotProcessed(RegistryWarning):
    """An XDR recipient ignored relationships (issued in ITI-41)."""


class PartialReplaceContentNotProcessed(RegistryWarning):
    """An XDR recipient ignored the meaning of a replacement (issued in ITI-41)."""


class PartialTransformNotProcessed(RegistryWarning):
    """An XDR recipient ignored the meaning of a transformation (issued in ITI-41)."""


class PartialTransformReplaceNotProcessed(RegistryWarning):
    """An XDR recipient ignored that a transformation replaces (issued in ITI-41)."""
