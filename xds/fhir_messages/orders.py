"""Orders of a message (FHIR R4 ServiceRequest)."""

from collections.abc import Iterator, Sequence
from typing import Final

from xds.fhir_messages.bundle import MessageBundle, PlacedResource, number_of, type_of
from xds.fhir_messages.people import organisations, people
from xds.messaging.flavours.flavour import Flavour
from xds.messaging.model import EntityNumber, MessageEnvelope, MessageOrder
from xds.messaging.verdicts import SEGMENT

_CONTROLS: Final = {"revoked": "CA", "entered-in-error": "CA", "on-hold": "HD", "completed": "SC"}
"""ServiceRequest.status to ORC-1 of HL7 table 0119; all else is a new order."""


def orders_of(
    message: MessageBundle, envelope: MessageEnvelope, flavour: Flavour
) -> Sequence[MessageOrder]:
    """Return the orders; an error where there is none."""
    requests = message.of_type("ServiceRequest")
    if not requests:
        message.fail(SEGMENT, "Bundle.entry", "there is no ServiceRequest: nothing is ordered")
    return [_order(message, one, envelope, flavour) for one in requests]


def _order(
    message: MessageBundle, placed: PlacedResource, envelope: MessageEnvelope, flavour: Flavour
) -> MessageOrder:
    said = placed.resource
    placing = placer_authority(message, placed, flavour)
    asking = [one for one in [said.get("requester")] if one]
    ordered = said.get("authoredOn") or said.get("occurrenceDateTime")
    return MessageOrder(
        control=_CONTROLS.get(said.get("status", ""), "NW"),
        placer=_number(placed, flavour, ("PLAC", ""), placing),
        filler=_number(placed, flavour, ("FILL",), flavour.issuer(envelope)),
        group=_group(placed, flavour, placing),
        status=said.get("status", ""),
        test=message.code(said.get("code")),
        requester=next(iter(people(message, flavour, asking)), None),
        organisation=next(organisations(message, flavour, asking), None),
        ordered=message.time(ordered, f"{placed.path}.authoredOn"),
        location=placed.path,
    )


def placer_authority(message: MessageBundle, request: PlacedResource, flavour: Flavour) -> str:
    """Return whose an order number is that names nobody: the requester's, else the flavour's."""
    asked = organisations(message, flavour, [request.resource.get("requester")])
    return next((one.code for one in asked if one.code), "") or flavour.placer_authority


def _number(
    placed: PlacedResource, flavour: Flavour, types: Sequence[str], issuer: str
) -> EntityNumber | None:
    def found() -> Iterator[EntityNumber | None]:
        for one in placed.resource.get("identifier", ()):
            if type_of(one) in types:
                yield number_of(one, flavour, issuer)

    return next(filter(None, found()), None)


def _group(placed: PlacedResource, flavour: Flavour, issuer: str) -> EntityNumber | None:
    requisition = placed.resource.get("requisition")
    return number_of(requisition, flavour, issuer) if requisition else None
