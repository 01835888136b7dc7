"""ITI-62 Remove Metadata (ITI TF-2 3.62; supplement Remove Metadata and Documents)."""

from functools import partial
from typing import Final

from lxml import etree

from xds.affinity_domain import AffinityDomain
from xds.errors import TransactionFailure, XDSRegistryBusy, XDSRegistryError
from xds.metadata.catalogue import ITI_62
from xds.metadata.ebrim import RIM
from xds.metadata.white_space import trimmed
from xds.registry.removal import Removal
from xds.security.access import Access
from xds.security.details import MetadataRemovalDetails, RemovedObject
from xds.transactions.messages import Request, Response
from xds.transactions.responses import refused, registry_response
from xds.transactions.transaction import Transaction

_DELETE_ALL: Final = "urn:oasis:names:tc:ebxml-regrep:DeletionScopeType:DeleteAll"


def remove(domain: AffinityDomain, request: Request) -> Response:
    """Remove the objects that a request names, all of them or none."""
    TRANSACTION.check(request.body)
    asked = _object_refs(request.body)
    access = request.access
    access.details = _asked_for(asked)

    domain.registry.remove(
        asked, tell=partial(tell, access), in_commit=access.commit, visible=access.visible
    )
    return Response([registry_response()])


def tell(access: Access, removal: Removal) -> None:
    """Note what is about to be removed, and have it recorded so, before the database is locked."""
    access.details = MetadataRemovalDetails(
        tuple(
            RemovedObject(
                one.entry_uuid,
                one.kind.KIND,
                one.object_type or one.association_type,
                one.patient_id,
            )
            for one in removal.found
        )
    )
    access.prepare()


def _object_refs(body: etree._Element) -> list[str]:
    """Return the entryUUIDs that a request names; it has no query and no scope of its own."""
    listed = body.find(f"{RIM}ObjectRefList")
    found = [] if listed is None else [trimmed(one.get("id", "")) for one in listed]
    if body.find(f"{RIM}AdhocQuery") is not None:
        raise TransactionFailure([XDSRegistryError("rim:AdhocQuery cannot be used in ITI-62")])
    if trimmed(body.get("deletionScope", _DELETE_ALL)) != _DELETE_ALL:
        raise TransactionFailure([XDSRegistryError("deletionScope must be absent, or DeleteAll")])
    if not found:
        raise TransactionFailure([XDSRegistryError("rim:ObjectRefList names no object")])
    return list(dict.fromkeys(found))


def _asked_for(asked: list[str]) -> MetadataRemovalDetails:
    return MetadataRemovalDetails(tuple(map(RemovedObject, asked)))


def _describe(_domain: AffinityDomain, body: etree._Element, access: Access) -> None:
    TRANSACTION.check(body)
    access.details = _asked_for(_object_refs(body))


TRANSACTION: Final = Transaction(
    catalogued=ITI_62,
    messages=ITI_62.soap[0],
    handler=remove,
    describer=_describe,
    refusal=refused,
    invalid=XDSRegistryError,
    failed=XDSRegistryError,
    busy=XDSRegistryBusy,
)
