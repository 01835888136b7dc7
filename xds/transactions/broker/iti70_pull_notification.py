"""ITI-70 Pull Notification (DSUB Extensions Rev 2.1, 3.70)."""

from typing import Final

from lxml import etree

from xds import schema_validation
from xds.affinity_domain import AffinityDomain
from xds.dsub import reading, writing
from xds.dsub.faults import UnableToGetMessagesFault
from xds.dsub.pull_points import MOST
from xds.dsub.requests import refused_by
from xds.errors import XDSRegistryBusy, XDSRegistryError
from xds.metadata.catalogue import ITI_70
from xds.notification.told import Notification
from xds.security.access import Access
from xds.security.details import SubscriptionDetails
from xds.transactions.broker.broker_here import broker_of
from xds.transactions.broker.iti69_pull_points import pull_point_of
from xds.transactions.messages import Request, Response
from xds.transactions.transaction import Transaction


def get_messages(domain: AffinityDomain, request: Request) -> Response:
    """Answer with what waits at the pull point that the request was sent to, the oldest first."""
    access = request.access
    access.details = SubscriptionDetails()
    if problems := schema_validation.problems(request.body):
        raise UnableToGetMessagesFault("; ".join(problems) + ".")
    broker = broker_of(domain)
    found = pull_point_of(broker, request)
    asked = reading.maximum_number(request.body)
    told = broker.pull_points.messages(found, MOST if asked is None else asked, request.message_id)
    access.details = SubscriptionDetails(
        writing.pull_point_address(request.target.endpoint, found.id),
        patient_ids=tuple(patient for one in told for patient in _patients(one)),
    )
    messages = (writing.notification_message(one) for one in told)
    return Response([writing.get_messages_response(one for one in messages if one is not None)])


def _patients(told: Notification) -> list[str]:
    found = (one.found.patient_id for one in told.objects if one.found is not None)
    return [patient for patient in found if patient]


def _describe(_domain: AffinityDomain, _body: etree._Element, access: Access) -> None:
    access.details = SubscriptionDetails()


TRANSACTION: Final = Transaction(
    catalogued=ITI_70,
    messages=ITI_70.soap[0],
    handler=get_messages,
    describer=_describe,
    refusal=refused_by(UnableToGetMessagesFault),
    invalid=XDSRegistryError,
    failed=XDSRegistryError,
    busy=XDSRegistryBusy,
)
