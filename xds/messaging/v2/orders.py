"""ORM^O01, OML^O21, OMG^O19: orders, kept so that reports can be matched to them (IHE LAB-1)."""

from collections.abc import Iterator

from xds.messaging.model import MessageDocument, MessageOrder
from xds.messaging.v2 import codes, details, numbers, persons
from xds.messaging.v2.context import MessageReading, location
from xds.messaging.v2.grouping import Grouped, OrderGroup
from xds.messaging.v2.reports import carried, documents_of, look_at_pointers, require_few


def orders_of(reading: MessageReading, grouped: Grouped) -> list[MessageOrder]:
    """Return the orders of a message, one for each OBR, or ORC without one."""
    look_at_pointers(reading, grouped)
    found = list(_orders(reading, grouped))
    require_few(reading, sum(len(order.documents) for order in found))
    return found


def _orders(reading: MessageReading, grouped: Grouped) -> Iterator[MessageOrder]:
    last = OrderGroup()
    for group in grouped.orders:
        if group.orc is None:  # an OBR more under the ORC before it
            group.orc = last.orc
        last = group
        yield _order(reading, group)


def _order(reading: MessageReading, group: OrderGroup) -> MessageOrder:
    orc, obr = group.orc, group.obr
    placing = details.placer_authority(reading, group)
    placer = numbers.entity(reading, orc, 2, authority=placing)
    filling = numbers.issuing_authority(reading)
    opening = obr or orc
    return MessageOrder(
        control=orc.value(1) if orc else "",
        placer=placer or numbers.entity(reading, obr, 2, authority=placing),
        filler=numbers.entity(reading, orc, 3, authority=filling)
        or numbers.entity(reading, obr, 3, authority=filling),
        group=numbers.entity(reading, orc, 4, authority=placing),
        status=orc.value(5) if orc else "",
        test=codes.coded(reading, obr, 4) or codes.uncoded(reading, obr, 4),
        ordered=reading.first_time((orc, 9), (obr, 6)) or reading.envelope.sent,
        requester=persons.first_person(reading, orc, 12) or persons.first_person(reading, obr, 16),
        organisation=persons.organisation(reading, orc, 21),
        documents=_documents(reading, group),
        location=location(opening, 2) if opening else "",
    )


def _documents(reading: MessageReading, group: OrderGroup) -> tuple[MessageDocument, ...]:
    carriers = carried(reading, group.observations)
    return documents_of(reading, carriers) if carriers else ()
