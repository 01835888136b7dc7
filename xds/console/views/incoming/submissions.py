"""Submissions: the SubmissionSets registered last, and what was refused, with why."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from xds.accounts.roles import ConsoleRole
from xds.console.views import shown
from xds.console.views.acting import SHOWN, number_of, place, record
from xds.console.visits import Answer, PageContent, PageNotFound, Visit, require_whole
from xds.messaging import operations
from xds.messaging.operations import MessageSelection
from xds.metadata.catalogue import CATALOGUE, ITI_66
from xds.metadata.criteria import equal
from xds.metadata.objects import DocumentEntry, SubmissionSet
from xds.refusals import kept
from xds.refusals.keeper import DAY
from xds.registry import events
from xds.registry.events import Event
from xds.security.details import QueryDetails, distinct
from xds.security.errors import AccessDenied

READERS: Final = frozenset({ConsoleRole.INTEGRATION})
_LOOKED_AT: Final = 1_000
"""Events that one page looks at for SubmissionSets."""
_ERRORS: Final = 3
"""Errors of a refusal that the list shows."""
_CODES: Final = 500
"""Unknown codes on one page."""
_MESSAGES: Final = 10
_BY_MESSAGES: Final = frozenset(row.name for row in CATALOGUE if row.hl7v2)
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
    documents: int
    """How many it holds that the person may know of."""


def show(visit: Visit) -> Answer:
    """Show the SubmissionSets registered last, or those before an event."""
    before = number_of(visit.given["before"])
    looked_at = visit.domain.registry.latest_events(_LOOKED_AT, before)
    every = [one for one in looked_at if _is_submission(one)]
    registered = every[-SHOWN:]
    older = None
    if len(every) > SHOWN:
        older = registered[0]
    elif looked_at and looked_at[0].number > 1:
        older = looked_at[0]
    return PageContent(
        {
            "submissions": list(_found(visit, registered)),
            "older": place("/submissions", before=str(older.number)) if older else "",
            "newest": bool(before),
        }
    )


def _is_submission(one: Event) -> bool:
    return one.kind == events.REGISTERED and one.object_kind == SubmissionSet.__name__


def _found(visit: Visit, registered: Sequence[Event]) -> Iterator[ShownSubmission]:
    try:
        with visit.passing(ITI_66.name) as access:
            access.details = QueryDetails("List", lambda: "_sort=-_lastUpdated")
            uuids = [one.entry_uuid for one in registered if one.entry_uuid]
            with visit.domain.registry.view(access.visible) as view:
                found = view.find(SubmissionSet, [equal("entry_uuid", uuids)])
                members = view.members([one.found.entry_uuid for one in found])
            patients = distinct(one.found.patient_id for one in found)
            access.details = QueryDetails(
                "List", lambda: "_sort=-_lastUpdated", lambda: patients, results=len(found)
            )
    except AccessDenied:
        return
    documents = Counter(one.holder for one in members if one.kind is DocumentEntry)
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
            documents[one.found.entry_uuid],
        )


def _names(people: Iterator[tuple[str, ...]]) -> Iterator[str]:
    for texts in people:
        for text in texts:
            _, family, given, *_ = [*text.split("^"), "", "", ""]
            if name := " ".join(filter(None, (given, family))):
                yield name


def show_refused(visit: Visit) -> Answer:
    """Show the submissions that were refused, the latest first, as their senders were told."""
    require_whole(visit)
    before = number_of(visit.given["before"])
    with visit.domain.database.read() as connection:
        found = kept.refusals(connection, _since(visit, connection), SHOWN + 1, before)
    record(visit, "See refused submissions", "refused submissions")
    older = str(found[SHOWN - 1].key) if len(found) > SHOWN else ""
    return PageContent(
        {
            "refused": found[:SHOWN],
            "most": _ERRORS,
            "older": place("/submissions/refused", before=older) if older else "",
            "newest": bool(before),
            "days": visit.console.config.refusals_kept_days,
        }
    )


def show_refusal(visit: Visit) -> Answer:
    """Show one refused submission: every error that is kept, and the message where it was one."""
    require_whole(visit)
    with visit.domain.database.read() as connection:
        found = kept.one(connection, _since(visit, connection), int(visit.path["key"]))
        if found is None:
            raise PageNotFound
        named = []
        if found.transaction in _BY_MESSAGES and found.message:
            selection = MessageSelection(name=found.message)
            named = list(operations.find(connection, selection, _MESSAGES))
    record(visit, "See a refused submission", f"refusal {found.key}")
    return PageContent({"refusal": found, "messages": named})


def show_unknown_codes(visit: Visit) -> Answer:
    """Show the codes that were refused as none of the affinity domain, the most frequent first."""
    require_whole(visit)
    with visit.domain.database.read() as connection:
        found = kept.unknown_codes(connection, _since(visit, connection), _CODES + 1)
    registry = visit.domain.registry_here
    return PageContent(
        {
            "codes": found[:_CODES],
            "has_more": len(found) > _CODES,
            "days": visit.console.config.refusals_kept_days,
            "has_code_sets": registry is None or bool(registry.policy.code_sets.codes),
        }
    )


def _since(visit: Visit, connection: Any) -> int:
    """Return since when refusals are kept: milliseconds since 1970."""
    now = visit.domain.database.milliseconds(connection)
    return now - visit.console.config.refusals_kept_days * DAY
