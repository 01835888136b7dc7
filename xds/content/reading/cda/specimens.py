"""What was examined, as CDA says it: collected by a procedure, or named by what was found in it."""

from collections.abc import Iterator
from typing import Final

from xds.content import cda_values as hl7
from xds.content.cda_values import NS, Element
from xds.content.reading.cda.parties import cx
from xds.content.reading.cda.source import CdaSource
from xds.content.reading.model import ObservationSpecimen

_COLLECTION: Final = frozenset(
    {
        "1.3.6.1.4.1.19376.1.3.1.2",  # Specimen Collection (XD-LAB)
        "2.16.840.1.113883.10.20.22.4.415",  # Specimen Collection Procedure (C-CDA)
    }
)
_RECEIVED: Final = "1.3.6.1.4.1.19376.1.3.1.3"
_LINKS: Final = (f"{{{NS}}}entryRelationship", f"{{{NS}}}component")


def collected(source: CdaSource, statement: Element) -> Iterator[ObservationSpecimen]:
    """Yield the specimens of the collections that stand directly within a statement."""
    for link in statement.iterchildren(_LINKS):
        for procedure in link.iterchildren(f"{{{NS}}}procedure"):
            if _templates(procedure) & _COLLECTION:
                yield _collected(source, procedure)


def of_observation(source: CdaSource, statement: Element) -> ObservationSpecimen | None:
    """Return the specimen that an observation or an organizer itself names."""
    for role in hl7.each(statement, "specimen/specimenRole"):
        return _named(source, role, "specimenPlayingEntity")
    return None


def _templates(element: Element) -> frozenset[str]:
    found = element.iterchildren(f"{{{NS}}}templateId")
    return frozenset(one.get("root") or "" for one in found)


def _collected(source: CdaSource, procedure: Element) -> ObservationSpecimen:
    times = source.time_of(hl7.first(procedure, "effectiveTime"), "low", "high", "center")
    received = _received(source, procedure)
    for role in hl7.each(procedure, "participant/participantRole"):
        if role.get("classCode", "SPEC") == "SPEC":
            return _named(source, role, "playingEntity", collected=times, received=received)
    said = source.words(hl7.first(procedure, "targetSiteCode"))
    return ObservationSpecimen(text=said, collected=times, received=received)


def _named(
    source: CdaSource, role: Element, entity: str, *, collected: str = "", received: str = ""
) -> ObservationSpecimen:
    playing = hl7.first(role, entity)
    code = playing.find(f"{{{NS}}}code") if playing is not None else None
    name = hl7.text(hl7.first(playing, "name")) if playing is not None else ""
    return ObservationSpecimen(
        type=source.code(code) or next(source.translations(code), None),
        text=source.words(code) or name,
        identifiers=cx(role),
        collected=collected,
        received=received,
    )


def _received(source: CdaSource, procedure: Element) -> str:
    for link in procedure.iterchildren(_LINKS):
        for act in link.iterchildren(f"{{{NS}}}act"):
            if _RECEIVED in _templates(act):
                return source.time_of(hl7.first(act, "effectiveTime"), "low", "high")
    return ""
