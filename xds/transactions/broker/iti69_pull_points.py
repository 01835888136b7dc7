"""ITI-69 Create/Destroy Pull Point (DSUB Extensions Rev 2.1, 3.69)."""

from typing import Final

from lxml import etree

from xds import schema_validation
from xds.affinity_domain import AffinityDomain
from xds.dsub import pull_points, writing
from xds.dsub.broker import Broker
from xds.dsub.faults import (
    NotificationFault,
    ResourceUnknownFault,
    UnableToCreatePullPointFault,
    UnableToDestroyPullPointFault,
)
from xds.dsub.pull_points import PullPoint, TooManyPullPoints
from xds.dsub.requests import refused_by, resource_id
from xds.errors import XDSRegistryBusy, XDSRegistryError
from xds.metadata.catalogue import ITI_69
from xds.security.access import Access
from xds.security.details import SubscriptionDetails
from xds.security.errors import AccessDenied
from xds.security.policy import DENIED
from xds.transactions.broker.broker_here import broker_of
from xds.transactions.messages import Request, Response
from xds.transactions.transaction import Transaction


def create(domain: AffinityDomain, request: Request) -> Response:
    """Make a pull point, and answer with its address."""
    _require_valid(request.body, UnableToCreatePullPointFault)
    key = pull_points.new_id()
    address = writing.pull_point_address(request.target.endpoint, key)
    request.access.details = SubscriptionDetails(address, action="C")
    try:
        broker_of(domain).pull_points.create(key, request.access.caller, request.access.commit)
    except TooManyPullPoints:
        raise UnableToCreatePullPointFault(
            "You have as many pull points as a client may have."
        ) from None
    return Response([writing.create_pull_point_response(address)])


def destroy(domain: AffinityDomain, request: Request) -> Response:
    """Remove the pull point that the request was sent to, with its subscriptions."""
    request.access.details = SubscriptionDetails(action="D")
    broker = broker_of(domain)
    found = pull_point_of(broker, request)
    request.access.details = SubscriptionDetails(_address(request, found), action="D")
    broker.pull_points.destroy(found, request.access.commit)
    return Response([writing.empty("DestroyPullPointResponse")])


def pull_point_of(broker: Broker, request: Request) -> PullPoint:
    """Return the pull point that a request was sent to; ResourceUnknownFault, AccessDenied."""
    found = broker.pull_points.get(resource_id(request.target.resource, writing.PULL_POINTS))
    if found is None:
        raise ResourceUnknownFault("There is no such pull point.")
    if not found.may_be_used_by(request.access.caller):
        raise AccessDenied(DENIED, rule="not the subscriber")
    return found


def _address(request: Request, found: PullPoint) -> str:
    return writing.pull_point_address(request.target.endpoint, found.id)


def _require_valid(body: etree._Element, fault: type[NotificationFault]) -> None:
    if problems := schema_validation.problems(body):
        raise fault("; ".join(problems) + ".")


def _describe_create(_domain: AffinityDomain, _body: etree._Element, access: Access) -> None:
    access.details = SubscriptionDetails(action="C")


def _describe_destroy(_domain: AffinityDomain, _body: etree._Element, access: Access) -> None:
    access.details = SubscriptionDetails(action="D")


CREATE: Final = Transaction(
    catalogued=ITI_69,
    messages=ITI_69.soap[0],
    handler=create,
    describer=_describe_create,
    refusal=refused_by(UnableToCreatePullPointFault),
    invalid=XDSRegistryError,
    failed=XDSRegistryError,
    busy=XDSRegistryBusy,
)
DESTROY: Final = Transaction(
    catalogued=ITI_69,
    messages=ITI_69.soap[1],
    handler=destroy,
    describer=_describe_destroy,
    refusal=refused_by(UnableToDestroyPullPointFault),
    invalid=XDSRegistryError,
    failed=XDSRegistryError,
    busy=XDSRegistryBusy,
)
