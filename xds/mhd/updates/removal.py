"""``DELETE`` of a resource, or of several in a transaction Bundle.

Metadata are removed as by ITI-62, and then the bytes of documents.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

from xds import logs
from xds.errors import TransactionFailure
from xds.fhir.exchange import Answer, Call
from xds.fhir.facade import Facade
from xds.fhir.r4.outcome import operation_outcome, refusal
from xds.metadata.criteria import ANYTHING, Comparison, Operator
from xds.metadata.document_request import DocumentRequest
from xds.metadata.objects import DocumentEntry
from xds.mhd.stored_resources import StoredResources
from xds.mhd.updates.comparison import STALE, CurrentResource
from xds.mhd.updates.updating import target
from xds.transactions.iti62_remove_metadata import tell

_log = logs.get_logger(__name__)
_MINIMAL: Final = "minimal"
_ATTEMPTS: Final = 5

ToRemove = tuple[StoredResources, CurrentResource]
Find = Callable[[Facade, Call], Sequence[ToRemove]]
"""Returns what a transaction names; Refused where an entry names nothing."""


def delete(stored: StoredResources, facade: Facade, call: Call) -> Answer:
    """Remove what a resource stands for in all its versions, with what would refer to it.

    The documents of a List stay, so a SubmissionSet that alone holds one is not removed. The bytes
    of a document go after the commit, where they are here and no other entry names them: a crash in
    between leaves a document without entry, which ``xds sweep`` removes. A version that comes
    meanwhile goes as well, where If-Match does not forbid it. Raises Refused.
    """
    return _retried(partial(_deleted, stored, facade, call))


def delete_all(find: Find, facade: Facade, call: Call) -> Answer:
    """Remove what the entries of a Bundle name, as :func:`delete` does: all of it, or nothing.

    Raises Refused.
    """
    return _retried(partial(_all_deleted, find, facade, call))


def _retried(act: Callable[[], Answer]) -> Answer:
    attempts = _ATTEMPTS
    while True:
        attempts -= 1
        try:
            return act()
        except TransactionFailure as failure:
            if not attempts or STALE not in {one.code for one in failure.errors}:
                raise refusal(failure) from None


def _deleted(stored: StoredResources, facade: Facade, call: Call) -> Answer:
    """Remove the versions that there are at the moment.

    Raises Refused, and TransactionFailure with XDSMetadataVersionError where there is a later
    version by the time, which If-Match has to be asked about.
    """
    _remove(facade, call, [(stored, target(facade, call, stored))])
    if call.prefer.get("return") == _MINIMAL:
        return Answer(resource=None, status=204)
    return Answer(resource=operation_outcome([]))


def _all_deleted(find: Find, facade: Facade, call: Call) -> Answer:
    going = find(facade, call)
    _remove(facade, call, going)
    return Answer(
        resource={
            "resourceType": "Bundle",
            "type": "transaction-response",
            "link": [{"relation": "self", "url": call.base}],
            "entry": [{"response": {"status": "204 No Content"}} for _ in going],
        }
    )


def _remove(facade: Facade, call: Call, wanted: Sequence[ToRemove]) -> None:
    """Remove resources with all their versions, and then the bytes of documents."""
    with facade.domain.registry.view(call.access.visible) as view:
        versions = [
            one.found.entry_uuid
            for stored, current in wanted
            for one in stored.versions(view, current.id)
        ]
        going = view.going_with(versions)
    facade.domain.registry.remove(
        going,
        tell=partial(tell, call.access),
        in_commit=call.access.commit,
        visible=call.access.visible,
        with_latest=True,
    )
    for _, current in wanted:
        if isinstance(current.thing, DocumentEntry):
            _remove_document(facade, current.thing)


def _remove_document(facade: Facade, entry: DocumentEntry) -> None:
    """Remove the bytes, where nothing stands against it."""
    repository = facade.domain.repository
    unique_id = entry.unique_id or ""
    if entry.is_on_demand or entry.repository_unique_id != repository.unique_id:
        return
    named = Comparison("unique_id", Operator.EQUAL, (unique_id,))
    with facade.domain.registry.view(ANYTHING) as view:
        if view.whole.count(DocumentEntry, [named]):
            return
    request = DocumentRequest(repository.unique_id, unique_id)
    try:
        facade.domain.remove_documents([request], withheld=frozenset(), in_commit=_recorded)
    except TransactionFailure as failure:
        _log.warning("a document stays", reason=[one.code for one in failure.errors])


def _recorded(_: Any) -> None:
    """Write nothing: the removal of the metadata has the record of both."""
