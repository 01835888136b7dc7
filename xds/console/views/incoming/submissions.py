"""Submissions: the SubmissionSets registered last, and what was refused, with why."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from xds.accounts.roles import ConsoleRole
from xds.audit import searching
from xds.audit.record import AuditRecord, milliseconds
from xds.audit.searching import RecordFilter, RecordPosition
from xds.console.views import shown
from xds.console.views.acting import SHOWN, record
from xds.console.visits import Answer, PageContent, Visit
from xds.metadata.catalogue import CATALOGUE, ITI_66, TransactionKind
from xds.metadata.criteria import equal
from xds.metadata.objects import SubmissionSet
from xds.registry import events
from xds.security.details import QueryDetails, distinct
from xds.security.errors import AccessDenied

READERS: Final = frozenset({ConsoleRole.INTEGRATION})
SUBMITTING: Final = frozenset(
    row.name
    for row in CATALOGUE
    if row.kind in (TransactionKind.SUBMIT, TransactionKind.UPDATE, TransactionKind.REMOVE)
)
"""The transactions that change what is registered."""
_LOOKED_AT: Final = 1_000
"""Of the latest events, so many are looked at for SubmissionSets."""
_RECORDS: Final = 500
"""Records of refusals that one page looks at."""
_AFTER: Final = re.compile(r"(\d{1,15})\.(\d{1,18})", re.ASCII)
_UUID_URN: Final = "urn:uuid:"


@dataclass(frozen=True, slots=True)
class ShownSubmission:
    """A SubmissionSet in the list."""

    uuid: str
    registered: str
    """DTM, UTC."""
    title: str
    authors: str
    source: str
    content: str
    """Of what kind it is: the display of contentTypeCode."""


@dataclass(frozen=True, slots=True)
class ShownRefusal:
    """A refused submission in the list: no patient is named."""

    at: int
    """Milliseconds since 1970."""
    transaction: str
    is_failure: bool
    """Whether it was the server that could not, not the request that was wrong."""
    who: str
    address: str
    reasons: tuple[str, ...]
    """The code of each error, and what was wrong by which rule."""


def show(visit: Visit) -> Answer:
    """Show the SubmissionSets registered last."""
    return PageContent({"submissions": list(_registered(visit)), "looked_at": _LOOKED_AT})


def _registered(visit: Visit) -> Iterator[ShownSubmission]:
    try:
        with visit.passing(ITI_66.name) as access:
            access.details = QueryDetails("List", lambda: "_sort=-_lastUpdated")
            uuids = [
                one.entry_uuid
                for one in visit.domain.registry.latest_events(_LOOKED_AT)
                if one.kind == events.REGISTERED and one.object_kind == SubmissionSet.__name__
            ][-SHOWN:]
            with visit.domain.registry.view(access.visible) as view:
                found = view.find(SubmissionSet, [equal("entry_uuid", filter(None, uuids))])
            patients = distinct(one.found.patient_id for one in found)
            access.details = QueryDetails(
                "List", lambda: "_sort=-_lastUpdated", lambda: patients, results=len(found)
            )
    except AccessDenied:
        return
    for one in sorted(found, key=lambda one: one.number, reverse=True):
        thing = one.content
        people = (author.person for author in thing.author)
        yield ShownSubmission(
            thing.id.removeprefix(_UUID_URN),
            one.registered_at,
            thing.title or "",
            "; ".join([*shown.institutions(thing.author), *_names(people)]),
            thing.source_id or "",
            shown.code(thing.content_type_code),
        )


def _names(people: Iterator[tuple[str, ...]]) -> Iterator[str]:
    for texts in people:
        for text in texts:
            _, family, given, *_ = [*text.split("^"), "", "", ""]
            if name := " ".join(filter(None, (given, family))):
                yield name


def show_refused(visit: Visit) -> Answer:
    """Show the submissions that were refused, the latest first, as the audit records have them."""
    is_audited = visit.domain.audit_log is not None
    found = _AFTER.fullmatch(visit.given["after"])
    after = RecordPosition(int(found[1]), int(found[2])) if found else None
    with visit.domain.database.read() as connection:
        page = searching.page(connection, RecordFilter(failed=True), _RECORDS, after)
    refused = [_refusal(one) for one in page.records if one.transaction in SUBMITTING]
    record(visit, "See refused submissions", "refused submissions")
    older = f"?{urlencode({'after': f'{page.next.at}.{page.next.key}'})}" if page.next else ""
    return PageContent(
        {
            "refused": refused,
            "older": older,
            "newest": bool(after),
            "is_audited": is_audited,
        }
    )


def _refusal(one: AuditRecord) -> ShownRefusal:
    return ShownRefusal(
        at=milliseconds(one.at),
        transaction=one.transaction,
        is_failure=one.outcome > 4,
        who=(one.actor.user_name if one.actor else "") or one.node,
        address=one.address,
        reasons=tuple(one.description.split("; ")),
    )
