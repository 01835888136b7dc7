"""UPDATES: the interactions that change what is registered, and read how it was before."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Final

from xds.config import Config
from xds.fhir.interactions import (
    DELETE,
    HISTORY,
    OPERATION,
    PATCH,
    TRANSACTION,
    UPDATE,
    Interaction,
)
from xds.metadata.catalogue import ITI_57, ITI_62, ITI_66, ITI_67, TransactionRow
from xds.mhd import vocabulary as mhd
from xds.mhd.document_lists import STORED_LISTS
from xds.mhd.document_references import DOCUMENTS
from xds.mhd.updates import history, removal, transaction
from xds.mhd.updates.document_changes import document_change
from xds.mhd.updates.list_changes import list_change
from xds.mhd.updates.updating import UpdatableResources
from xds.security.scopes import permissions

UPDATABLE_DOCUMENTS: Final = UpdatableResources(DOCUMENTS, document_change)
UPDATABLE_LISTS: Final = UpdatableResources(STORED_LISTS, list_change)
UPDATABLE: Final = {one.stored.resource_type: one for one in (UPDATABLE_DOCUMENTS, UPDATABLE_LISTS)}
"""What can be updated, by resource type."""


def _offered(name: str) -> Callable[[Config], bool]:
    """Return whether an option offers an interaction."""
    return lambda config: config.offers_by_fhir(
        getattr(config, name), has_policy=config.policy is not None
    )


def _updates(updatable: UpdatableResources, path: str, which: str) -> Iterator[Interaction]:
    """Yield the rows of updates by a whole resource and by a patch, and of removal."""
    resource_type = updatable.stored.resource_type
    yield Interaction(
        ITI_57.name,
        UPDATE,
        "PUT",
        path,
        f"Update {which}.",
        updatable.update,
        resource_type,
        body=resource_type,
        describer=updatable.describe,
        is_answered=_offered("fhir_update"),
    )
    yield Interaction(
        ITI_57.name,
        PATCH,
        "PATCH",
        path,
        f"Change elements of {which}.",
        updatable.patch,
        resource_type,
        describer=updatable.describe,
        is_answered=_offered("fhir_patch"),
    )
    yield Interaction(
        ITI_62.name,
        DELETE,
        "DELETE",
        path,
        f"Remove {which}, in all versions.",
        partial(removal.delete, updatable.stored),
        resource_type,
        describer=updatable.describe,
        is_answered=_offered("fhir_delete"),
    )


def _rows(
    updatable: UpdatableResources, reading: TransactionRow, what: str
) -> Iterator[Interaction]:
    """Yield the rows of a resource type; ``what`` is what a resource is, ``reading`` a read."""
    resource_type = updatable.stored.resource_type
    path = f"/{resource_type}"
    yield from _updates(updatable, f"{path}/{{id}}", what)
    yield from _updates(updatable, path, f"{what}, which is the only one that a search finds")
    yield Interaction(
        reading.name,
        HISTORY,
        "GET",
        f"{path}/{{id}}/_history",
        f"Read all versions of {what}.",
        partial(history.history, updatable.stored),
        resource_type,
        parameters=history.PARAMETERS,
        describer=updatable.describe,
        is_answered=_offered("fhir_history"),
    )


UPDATES: Final = (
    Interaction(
        ITI_57.name,
        TRANSACTION,
        "POST",
        "",
        "Update several resources by PUT and PATCH entries, all or none.",
        partial(transaction.update_all, UPDATABLE),
        body="Bundle",
        takes=transaction.takes,
        describer=partial(transaction.describe, UPDATABLE),
        permissions=permissions(DocumentReference="u", List="u"),
        is_answered=lambda config: any(
            _offered(name)(config) for name in ("fhir_update", "fhir_patch")
        ),
    ),
    Interaction(
        ITI_62.name,
        TRANSACTION,
        "POST",
        "",
        "Remove several resources by DELETE entries, all or none.",
        partial(removal.delete_all, partial(transaction.named, UPDATABLE)),
        body="Bundle",
        takes=transaction.takes_removals,
        describer=partial(transaction.describe, UPDATABLE),
        permissions=permissions(DocumentReference="d", List="d"),
        is_answered=_offered("fhir_delete"),
    ),
    *_rows(UPDATABLE_DOCUMENTS, ITI_67, "the metadata of a document"),
    Interaction(
        ITI_57.name,
        OPERATION,
        "POST",
        "/DocumentReference/{id}/$update-metadata",
        "Update Metadata: change the docStatus of a document.",
        UPDATABLE_DOCUMENTS.update_metadata,
        "DocumentReference",
        body="Parameters",
        needs_body=False,
        describer=UPDATABLE_DOCUMENTS.describe,
        permissions=permissions(DocumentReference="u"),
        definition=mhd.UPDATE_METADATA,
        is_answered=_offered("fhir_update_metadata"),
    ),
    *_rows(UPDATABLE_LISTS, ITI_66, "a Folder"),
)
