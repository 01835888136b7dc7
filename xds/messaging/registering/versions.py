"""What becomes of a document by what is filed under its number: new, another version, nothing.

A document is told from others by the number that its sender gave it, the authority of the number,
and the slot among the documents of one number. Content decides before times, and times before the
order of arrival: several connections keep no order among each other.

A CDA or FHIR document may say within of which version it is, too, and what it replaces. Message and
document then share the decision:

* What a message does (MDM T10, T06 and T11, a status) holds, whatever the document within says of
  the same other document: a T10 replaces its parent, an addendum leaves it as it is.
* Which of two documents of one number is the later one, the documents tell where both are of one
  set: their authors count versions, while times of messages are often those of their sending. An
  earlier version is given to the registry, which files it as Deprecated or refuses it as its option
  ``lower_versions`` says; with ``keep``, versions are not believed, and times decide. ``late =
  "replace"`` of a flavour lets whatever comes last be current. A preliminary document does not
  replace a final one, whatever its version.
* Of what other numbers or other doors brought, the registry decides alone, by what the document
  says (:mod:`xds.registry.versions.placing`): one document of a set is current.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from xds.messaging.flavours.flavour import Flavour
from xds.messaging.model import ReportStatus
from xds.messaging.verdicts import DUPLICATE_ID, OLDER, PATIENT_ID, MessageFinding

ReportState = Literal["announced", "filed", "cancelled"]

VersionStep = Literal["nothing", "register", "deprecated", "lower", "replace", "status"]
"""``register``: as a new document. ``deprecated``: as one that is Deprecated from the first.
``lower``: as an earlier version than what is filed, of which the registry decides.
``replace``: as the replacement of what is filed. ``status``: the same content, whose status has
changed."""

_RANKS: Final[dict[str, int]] = {
    "incomplete": 0,
    "unverified": 1,
    "preliminary": 2,
    "final": 3,
    "corrected": 3,
    "cancelled": 3,
}
_FINAL: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class FiledReport:
    """What is known of a document: a row of the table ``report``."""

    authority: str
    number: str
    slot: str
    state: ReportState
    entry_uuid: str | None = None
    """The first version of its DocumentEntry, where it has one."""
    unique_id: str | None = None
    content: str = ""
    """SHA-1 of what the sender said."""
    status: str = ""
    version_time: str = ""
    patient_id: str = ""
    parent: str = ""
    """Number of the document that it adds to, while that is not here: authority, ``|``, number."""
    message: str = ""
    """The id of the last message that has changed it."""

    @property
    def key(self) -> tuple[str, str, str]:
        """By which it is told from all others."""
        return self.authority, self.number, self.slot


@dataclass(frozen=True, slots=True, kw_only=True)
class ComingVersion:
    """A document as a message brings it."""

    content: str
    status: ReportStatus
    version_time: str
    patient_id: str
    is_available: bool = True
    location: str = ""
    order: int = 0
    """1 if it says to be of a later version than the filed document, -1 if of an earlier one; 0
    where they do not both say it."""

    def is_after(self, filed: FiledReport) -> bool:
        """Tell whether it is later: by what the documents say, else by the times of messages."""
        return self.order > 0 if self.order else is_later(self.version_time, filed.version_time)

    def is_before(self, filed: FiledReport) -> bool:
        """Tell whether it is earlier, by the same."""
        return self.order < 0 if self.order else is_later(filed.version_time, self.version_time)


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionDecision:
    """What is to be done with it, and what the sender is told of that."""

    step: VersionStep
    findings: tuple[MessageFinding, ...] = ()
    decision: str = ""


def decide(filed: FiledReport | None, coming: ComingVersion, flavour: Flavour) -> VersionDecision:
    """Decide what becomes of a document that is to be filed."""
    if coming.status == "incomplete":
        return VersionDecision(step="nothing", decision="it has no content yet")
    if coming.status == "unverified" and flavour.unverified == "index":
        return VersionDecision(step="nothing", decision="results that are not verified stay out")
    if coming.status == "preliminary" and flavour.preliminary == "index":
        return VersionDecision(step="nothing", decision="preliminary results stay out")
    new: VersionStep = "register" if coming.is_available else "deprecated"
    if filed is None or filed.state == "announced":
        return VersionDecision(step=new, findings=tuple(_first(coming)))
    if filed.state == "cancelled":
        return _after_cancellation(filed, coming, new, flavour)
    if filed.patient_id != coming.patient_id:
        reason = "the number is that of a document of another patient"
        return VersionDecision(step="nothing", findings=(_refusal(coming, reason),))
    if filed.content == coming.content:
        return _same(filed, coming)
    return _other(filed, coming, flavour)


def _first(coming: ComingVersion) -> Iterator[MessageFinding]:
    if coming.status == "corrected":
        yield MessageFinding(
            verdict=OLDER,
            location=coming.location,
            reason="it corrects a version that is not here",
            is_warning=True,
        )


def _after_cancellation(
    filed: FiledReport, coming: ComingVersion, new: VersionStep, flavour: Flavour
) -> VersionDecision:
    if coming.is_after(filed):
        return VersionDecision(step=new, decision="it is newer than the cancellation of the number")
    if filed.entry_uuid and filed.content == coming.content:
        return VersionDecision(step="nothing", decision="it was cancelled before")
    if flavour.after_cancellation == "refuse":
        reason = "the number was cancelled, and this is older than that"
        finding = MessageFinding(verdict=OLDER, location=coming.location, reason=reason)
        return VersionDecision(step="nothing", findings=(finding,))
    reason = "it is older than the cancellation that came before it, and is filed as Deprecated"
    return VersionDecision(step="deprecated", findings=(_older(coming, reason),))


def _same(filed: FiledReport, coming: ComingVersion) -> VersionDecision:
    if not coming.is_available:
        return VersionDecision(step="status", decision="it is no longer offered by its sender")
    rises = _RANKS.get(coming.status, 0) > _RANKS.get(filed.status, 0)
    corrected = coming.status == "corrected" != filed.status
    if rises or (corrected and not is_later(filed.version_time, coming.version_time)):
        return VersionDecision(step="status", decision="the same content has another status")
    finding = MessageFinding(
        verdict=DUPLICATE_ID,
        location=coming.location,
        reason="this content is here already",
        is_warning=True,
    )
    return VersionDecision(step="nothing", findings=(finding,), decision="the content is the same")


def _other(filed: FiledReport, coming: ComingVersion, flavour: Flavour) -> VersionDecision:
    if coming.order < 0 and flavour.late != "replace":
        return VersionDecision(step="lower", decision="it says to be an earlier version")
    lower = _RANKS.get(coming.status, 0) < _FINAL <= _RANKS.get(filed.status, 0)
    if lower or coming.is_before(filed):
        reason = "a final version is filed" if lower else "it is older than the version filed"
        if flavour.late == "ignore":
            return VersionDecision(step="nothing", findings=(_older(coming, reason),))
        if flavour.late == "file-deprecated":
            return VersionDecision(step="deprecated", findings=(_older(coming, reason),))
    return VersionDecision(step="replace", decision="it replaces what is filed under its number")


def is_later(one: str, other: str) -> bool:
    """Tell whether a time (DTM) is after another, as far as both are known."""
    length = min(len(one), len(other))
    return bool(length) and one[:length] > other[:length]


def _older(coming: ComingVersion, reason: str) -> MessageFinding:
    return MessageFinding(verdict=OLDER, location=coming.location, reason=reason, is_warning=True)


def _refusal(coming: ComingVersion, reason: str) -> MessageFinding:
    return MessageFinding(verdict=PATIENT_ID, location=coming.location, reason=reason)
