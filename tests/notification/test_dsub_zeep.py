"""zeep as a client of the broker: it reads the contract, and calls with what it read."""

import pytest
import zeep
from lxml import etree

from tests.notification.conftest import Broker
from tests.notification.dsub import DOCUMENTS, SIMPLE, patient, query, topic


def element(xml: str) -> etree._Element:
    return etree.fromstring(
        '<x xmlns:wsnt="http://docs.oasis-open.org/wsn/b-2" '
        f'xmlns:rim="urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0">{xml}</x>'
    )[0]


def bound(client: zeep.Client, address: str) -> zeep.proxy.ServiceProxy:
    """Return the service at another address: that of a subscription or a pull point."""
    (binding,) = client.wsdl.bindings
    service: zeep.proxy.ServiceProxy = client.create_service(binding, address)
    return service


def test_a_client_made_of_the_contract_subscribes_and_ends(broker: Broker) -> None:
    client = zeep.Client(f"{broker.url}?wsdl=choice")
    service = client.service
    any_of = [element(topic("ihe:FullDocumentEntry")), element(query(DOCUMENTS, patient("ZEEP")))]
    made = service.NotificationBroker_Subscribe(
        ConsumerReference={"Address": broker.consumer("zeep")},
        Filter={"_value_1": any_of},
        InitialTerminationTime="P30D",
    )
    address = made.SubscriptionReference.Address._value_1
    assert address.startswith(f"{broker.url}/subscription/")
    assert made.TerminationTime > made.CurrentTime
    own = bound(client, address)
    renewed = own.NotificationBroker_Renew(TerminationTime="2030-01-01T00:00:00Z")
    assert renewed.TerminationTime.year == 2030
    own.NotificationBroker_Unsubscribe()
    with pytest.raises(zeep.exceptions.Fault) as caught:
        own.NotificationBroker_Unsubscribe()
    assert caught.value.detail[0].tag.endswith("}ResourceUnknownFault")
    with pytest.raises(zeep.exceptions.Fault) as caught:
        service.NotificationBroker_Subscribe(
            ConsumerReference={"Address": broker.consumer("zeep")},
            Filter={"_value_1": [element(topic("ihe:Nothing", SIMPLE))]},
        )
    assert caught.value.detail[0].tag.endswith("}TopicNotSupportedFault")


def test_a_client_made_of_the_contract_uses_a_pull_point(broker: Broker) -> None:
    client = zeep.Client(f"{broker.url}?wsdl=choice")
    made = client.service.NotificationBroker_CreatePullPoint()
    own = bound(client, made.PullPoint.Address._value_1)
    assert not own.NotificationBroker_GetMessages(MaximumNumber=1).NotificationMessage
    own.NotificationBroker_DestroyPullPoint()
    with pytest.raises(zeep.exceptions.Fault):
        own.NotificationBroker_GetMessages()
