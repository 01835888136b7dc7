"""The hash chain of the audit records: verified a part at a time, so that no page takes long."""

from contextlib import suppress
from typing import Final

from xds.audit import anchor, audit_log, chain
from xds.audit.chain import Link
from xds.console.views.audit import records
from xds.console.visits import Answer, PageContent, Visit, require_whole

CHECKED: Final = 5_000
"""Records that are checked at once."""


def show(visit: Visit) -> Answer:
    """Show where the chain begins and ends, and from where it can be checked."""
    require_whole(visit)
    return _content(visit)


def verify(visit: Visit) -> Answer:
    """Check a part of the chain: the latest records, or those from the beginning or a record on."""
    require_whole(visit)
    given = visit.given
    ends = []
    if text := given["end"].strip():
        try:
            ends.append(anchor.parsed(text))
        except ValueError:
            return _content(visit, problem="Write an end as the log has it: NUMBER:HASH")
    if noted := anchor.noted(audit_log.folder_of(visit.console.config)):
        ends.append(noted)
    begin = _begin(visit)
    records.record_use(visit, f"verify {CHECKED} records after {begin.sequence}")
    verdict = chain.verify(visit.domain.database, ends, begin=begin, most=CHECKED)
    return _content(visit, begin=begin, verdict=verdict)


def _begin(visit: Visit) -> Link:
    """Return the record after which to check; where a check goes on, with the hash it found."""
    with suppress(ValueError):
        return anchor.parsed(visit.given["after"])
    with visit.domain.database.read() as connection:
        if visit.given["from"] == "beginning":
            return chain.start(connection)
        return chain.link_before(connection, chain.head(connection).sequence - CHECKED + 1)


def _content(
    visit: Visit,
    *,
    begin: Link | None = None,
    verdict: chain.Verdict | None = None,
    problem: str = "",
) -> Answer:
    with visit.domain.database.read() as connection:
        start, head = chain.start(connection), chain.head(connection)
    following = "" if verdict is None or verdict.is_whole else "{}:{}".format(*verdict.end)
    return PageContent(
        {
            "start": start,
            "head": head,
            "begin": begin,
            "verdict": verdict,
            "following": following,
            "end": visit.given.get("end", ""),
            "checked": CHECKED,
            "problem": problem,
        },
        status=400 if problem else 200,
        title="Error: Audit chain" if problem else "Audit chain",
    )
