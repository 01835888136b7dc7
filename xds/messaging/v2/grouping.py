"""Order groups of a message, found by position and not by its grammar.

Senders leave segments out, repeat them, and put them where no grammar has them. So: an OBR opens an
order group and takes the ORC before it; an OBX belongs to the last OBR, or to the ORC that waits
for one; NTE belong to what stands before them; a TXA opens a document, whose content are the OBX
that follow. After an SPM, OBX are about the specimen if the OBR had OBX already.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from xds.hl7v2.message import Segment


@dataclass(slots=True)
class Observation:
    """One OBX and the notes below it."""

    segment: Segment
    notes: list[Segment] = field(default_factory=list)


@dataclass(slots=True)
class OrderGroup:
    """What belongs to one order: ORC, OBR, or both."""

    orc: Segment | None = None
    obr: Segment | None = None
    observations: list[Observation] = field(default_factory=list)
    notes: list[Segment] = field(default_factory=list)
    specimens: list[Segment] = field(default_factory=list)
    of_specimens: list[Observation] = field(default_factory=list)

    @property
    def segments(self) -> dict[str, Segment | None]:
        """ORC, OBR and the first SPM by their names."""
        specimen = self.specimens[0] if self.specimens else None
        return {"ORC": self.orc, "OBR": self.obr, "SPM": specimen}


@dataclass(slots=True)
class DocumentGroup:
    """A TXA and its content."""

    txa: Segment
    observations: list[Observation] = field(default_factory=list)
    notes: list[Segment] = field(default_factory=list)


@dataclass(slots=True)
class Grouped:
    """A message by its parts."""

    patients: list[Segment] = field(default_factory=list)
    practice: Segment | None = None
    visit: Segment | None = None
    of_patient: list[Observation] = field(default_factory=list)
    notes: list[Segment] = field(default_factory=list)
    """Those of the patient."""
    orders: list[OrderGroup] = field(default_factory=list)
    documents: list[DocumentGroup] = field(default_factory=list)

    @property
    def observations(self) -> Sequence[Observation]:
        """All of them."""
        found = list(self.of_patient)
        for order in self.orders:
            found += [*order.observations, *order.of_specimens]
        for document in self.documents:
            found += document.observations
        return found


def grouped(segments: Iterable[Segment], *, takes_documents: bool = False) -> Grouped:
    """Group the segments of a message; TXA open documents in messages that take them (MDM)."""
    grouping = _Grouping(takes_documents)
    for segment in segments:
        grouping.take(segment)
    return grouping.result


class _Grouping:
    """Takes the segments in their order."""

    def __init__(self, takes_documents: bool) -> None:
        self.result = Grouped()
        self._takes_documents = takes_documents
        self._order: OrderGroup | None = None
        self._document: DocumentGroup | None = None
        self._is_after_specimen = False
        self._notes = self.result.notes

    def take(self, segment: Segment) -> None:
        match segment.name:
            case "PID":
                self.result.patients.append(segment)
                self._notes = self.result.notes
            case "PD1":
                self.result.practice = segment
            case "PV1":
                self.result.visit = self.result.visit or segment
            case "ORC":
                self._open(OrderGroup(orc=segment))
            case "OBR":
                self._take_request(segment)
            case "OBX":
                self._take_observation(Observation(segment))
            case "SPM" if self._order:
                self._order.specimens.append(segment)
                self._is_after_specimen = bool(self._order.observations)
                self._notes = []
            case "TXA" if self._takes_documents:
                self._document = DocumentGroup(segment)
                self.result.documents.append(self._document)
                self._notes = self._document.notes
            case "NTE":
                self._notes.append(segment)

    def _open(self, order: OrderGroup) -> None:
        self._order = order
        self._is_after_specimen = False
        self.result.orders.append(order)
        self._notes = order.notes

    def _take_request(self, segment: Segment) -> None:
        order = self._order
        if order is None or order.obr is not None:
            self._open(OrderGroup(obr=segment))
        else:
            order.obr = segment

    def _take_observation(self, one: Observation) -> None:
        self._notes = one.notes
        if self._document:
            self._document.observations.append(one)
        elif self._order is None:
            self.result.of_patient.append(one)
        elif self._is_after_specimen:
            self._order.of_specimens.append(one)
        else:
            self._order.observations.append(one)
