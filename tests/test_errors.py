"""The error classes against the codes of the Technical Framework (ITI TF-3 4.2.4)."""

import copy
import inspect

import pytest

from xds import errors
from xds.errors import (
    ERROR_SEVERITY,
    WARNING_SEVERITY,
    RegistryError,
    RegistryWarning,
    TransactionFailure,
    XDSExtraMetadataNotSaved,
    XDSRegistryMetadataError,
    XDSUnknownPatientId,
)

CODES = {
    *("DocumentQueued", "InvalidDocumentContent", "LocalPolicyRestrictionError"),
    *("PartialAppendContentNotProcessed", "PartialFolderContentNotProcessed"),
    *("PartialRelationshipContentNotProcessed", "PartialReplaceContentNotProcessed"),
    *("PartialTransformNotProcessed", "PartialTransformReplaceNotProcessed"),
    *("ReferencesExistException", "UnmodifiableMetadataError", "UnresolvedReferenceException"),
    *("XDSDocumentUniqueIdError", "XDSDuplicateUniqueIdInRegistry", "XDSExtraMetadataNotSaved"),
    *("XDSInvalidRequestException", "XDSMetadataAnnotationError", "XDSMetadataIdentifierError"),
    *("XDSMetadataUpdateError", "XDSMetadataUpdateOperationError", "XDSMetadataVersionError"),
    *("XDSMissingDocument", "XDSMissingDocumentMetadata", "XDSMissingHomeCommunityId"),
    *("XDSNonIdenticalHash", "XDSNonIdenticalSize", "XDSObjectTypeError"),
    *("XDSPatientIDReconciliationError", "XDSPatientIdDoesNotMatch", "XDSRegistryBusy"),
    *("XDSRegistryDeprecatedDocumentError", "XDSRegistryDuplicateUniqueIdInMessage"),
    *("XDSRegistryError", "XDSRegistryMetadataError", "XDSRegistryNotAvailable"),
    *("XDSRegistryOutOfResources", "XDSRemoveDocumentsError", "XDSRepositoryBusy"),
    *("XDSRepositoryDuplicateUniqueIdInMessage", "XDSRepositoryError"),
    *("XDSRepositoryMetadataError", "XDSRepositoryOutOfResources", "XDSResultNotSinglePatient"),
    *("XDSStoredQueryMissingParam", "XDSStoredQueryParamNumber", "XDSTooManyResults"),
    *("XDSUnavailableCommunity", "XDSUnknownCommunity", "XDSUnknownPatientId"),
    *("XDSUnknownRepositoryId", "XDSUnknownStoredQuery", "XDSUnreferencedObjectException"),
}
PATIENT = "P0001^^^&2.999.1.1&ISO"


def concrete() -> dict[str, type[RegistryError]]:
    found = inspect.getmembers(errors, inspect.isclass)
    bases = (RegistryError, RegistryWarning)
    return {n: c for n, c in found if issubclass(c, RegistryError) and c not in bases}


def test_there_is_one_class_for_each_code_and_none_more() -> None:
    assert set(concrete()) == CODES


def test_the_code_is_the_name() -> None:
    assert {name: cls.code for name, cls in concrete().items()} == {code: code for code in CODES}


def test_only_what_does_not_fail_a_transaction_is_a_warning() -> None:
    warnings = {name for name, cls in concrete().items() if cls.severity == WARNING_SEVERITY}
    assert warnings == {
        name
        for name in CODES
        if name.startswith("Partial") or name in ("DocumentQueued", "XDSExtraMetadataNotSaved")
    }
    assert XDSUnknownPatientId.severity == ERROR_SEVERITY


def test_every_error_says_what_it_means_and_where_it_is_issued() -> None:
    undocumented = [name for name, cls in concrete().items() if "ITI-" not in (cls.__doc__ or "")]
    assert undocumented == []


def test_an_error_carries_context_and_location() -> None:
    error = XDSUnknownPatientId(f"unknown patient {PATIENT}", "SubmissionSet01")
    assert error.code_context == f"unknown patient {PATIENT}"
    assert error.location == "SubmissionSet01"
    assert XDSUnknownPatientId("unknown").location == ""


@pytest.mark.parametrize("show", [str, repr])
def test_what_an_exception_shows_names_no_patient(show: type) -> None:
    error = XDSUnknownPatientId(f"unknown patient {PATIENT}", PATIENT)
    failure = TransactionFailure([error])
    assert "XDSUnknownPatientId" in show(error)
    assert "XDSUnknownPatientId" in show(failure)
    assert "P0001" not in show(error) + show(failure)


def test_a_copied_error_keeps_everything() -> None:
    copied = copy.copy(XDSUnknownPatientId("context", "location"))
    assert (copied.code_context, copied.location) == ("context", "location")


def test_a_failure_keeps_its_errors_in_order_and_shows_their_codes() -> None:
    found = [XDSRegistryMetadataError("no title"), XDSExtraMetadataNotSaved("urn:x:y")]
    failure = TransactionFailure(iter(found))
    assert failure.errors == tuple(found)
    assert str(failure) == "XDSRegistryMetadataError, XDSExtraMetadataNotSaved"


@pytest.mark.parametrize("found", [[], [XDSExtraMetadataNotSaved("urn:x:y")]])
def test_a_failure_without_an_error_is_none(found: list[RegistryError]) -> None:
    with pytest.raises(ValueError, match="at least one error"):
        TransactionFailure(found)
