"""``DELETE`` of a resource, or of several in a transaction Bundle.

Metadata are removed as by ITI-62, in one commit with the documents as by ITI-86.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from xds.errors import TransactionFailure
from xds.fhir.exchange import Answer, Call
from xds.fhir.facade import Facade
from xds.fhir.r4.outcome import operation_outcome, refusal
from xds.metadata.objects import DocumentEntry
from xds.mhd.stored_resources import StoredResources
from xds.mhd.updates.comparison import STALE, CurrentResource
from xds.mhd.updates.updating import target
from xds.transactions.iti62_remove_metadata import tell

_MINIMAL: Final = "minimal"
_ATTEMPTS: Final = 5

ToRemove = tuple[StoredResources, CurrentResource]
Find = Callable[[Facade, Call], Sequence[ToRemove]]
"""Returns what a transaction names; Refused where an entry names nothing."""


def delete(stored: StoredResources, facade: Facade, call: Call) -> Answer:
    """Remove what a resource stands for in all its versions, with what would refer to it.

    The documents of a List stay, so a SubmissionSet that alone holds one is not removed. A document
    goes in the same commit, where it is here and no other entry names it, and its bytes after it: a
    crash in between leaves bytes that nobody can retrieve, which ``xds sweep`` removes. A version
    that comes meanwhile goes as well, where If-Match does not forbid it. Raises Refused.
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
    things = (current.thing for _, current in wanted)
    facade.domain.remove_with_documents(
        going,
        _documents(facade, [one for one in things if isinstance(one, DocumentEntry)]),
        tell=partial(tell, call.access),
        in_commit=call.access.commit,
        visible=call.access.visible,
    )


def _documents(facade: Facade, entries: Sequence[DocumentEntry]) -> Sequence[str]:
    """Return the uniqueIds of the documents of entries that are kept here."""
    repository = facade.domain.repository
    return sorted(
        {
            one.unique_id or ""
            for one in entries
            if one.repository_unique_id == repository.unique_id and not one.is_on_demand
        }
    )
