"""What destinations are told of a merge of patients (ITI-8 A40, ITI-44).

A document moves to the surviving patient by it, and no event tells of that: which documents a
destination has of the subsumed patient is read from the record of what it was told. Documents that
ITI-64 gives to another patient are new versions, and told as changed metadata.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from sqlalchemy import Connection, bindparam, func, or_, select

from xds.database.lists import none_of, one_of
from xds.messaging.outbound.destination import Destination
from xds.messaging.outbound.records import NewOutbound, OutboundState
from xds.messaging.outbound.tables import outbound_message
from xds.registry import events
from xds.registry.events import Event
from xds.registry.tables import document_entry
from xds.registry.tables import event as event_table

_O: Final = outbound_message.c
_NOT_THERE: Final = (
    OutboundState.NOT_CHOSEN,
    OutboundState.SUPERSEDED,
    OutboundState.DISCARDED,
)
_PATIENTS: Final = select(event_table.c.patient, event_table.c.survivor).where(
    event_table.c.pk == bindparam("merge")
)
_OF_SURVIVOR: Final = select(document_entry.c.logical_id).where(
    document_entry.c.patient == bindparam("survivor")
)
_TOLD: Final = (
    select(func.max(_O.pk))
    .join(event_table, event_table.c.pk == _O.event)
    .where(
        one_of.named(_O.logical_id, "documents"),
        _O.event < bindparam("merge"),
        or_(
            event_table.c.patient == bindparam("subsumed"),
            event_table.c.survivor == bindparam("subsumed"),
        ),
        none_of.fixed(_O.state, _NOT_THERE),
    )
    .group_by(_O.destination, _O.logical_id)
)
_LAST: Final = (
    select(_O.destination, _O.entry_uuid, _O.logical_id, _O.target, _O.rule)
    .where(_O.pk.in_(_TOLD), _O.change != "withdrawn")
    .order_by(_O.pk)
)


def decisions(
    connection: Connection,
    destinations: Sequence[Destination],
    merge: Event,
    *,
    is_replay: bool = False,
) -> Iterator[NewOutbound]:
    """Yield what is decided about a merge, for each destination that has documents of the patient.

    Where it is told nothing, that is on record too.
    """
    if merge.kind != events.PATIENT_MERGED:
        return
    asked: dict[str, Any] = {"merge": merge.number}
    subsumed, survivor = connection.execute(_PATIENTS, asked).one()
    documents = connection.scalars(_OF_SURVIVOR, {"survivor": survivor}).all()
    asked |= {"subsumed": subsumed, "documents": list(dict.fromkeys(documents))}
    told = connection.execute(_LAST, asked).all()
    for one in destinations:
        tells = one.merges != "nothing"
        there = [row for row in told if row.destination == one.name]
        if one.merges != "documents":
            there = there[-1:]
        for row in there:
            yield NewOutbound(
                destination=one,
                event=merge.number,
                change="moved" if one.merges == "documents" else "merged",
                entry_uuid=row.entry_uuid,
                logical_id=row.logical_id,
                patient_id=merge.survivor or "",
                # behind what waits of the document; a merge goes in the lane of the survivor
                lane=row.target if one.merges == "documents" else "",
                rule=row.rule,
                state=OutboundState.WAITING if tells else OutboundState.NOT_CHOSEN,
                is_replay=is_replay,
            )
