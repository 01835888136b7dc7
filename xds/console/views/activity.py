"""Activity as charts, with their tables: by hour, how long things wait, and how long they take."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from xds.accounts.roles import ConsoleRole
from xds.audit import activity
from xds.audit.activity import HOUR, HourCount
from xds.console.visits import Answer, PageContent, Visit
from xds.metadata.catalogue import CATALOGUE, TransactionKind
from xds.outgoing import overview

READERS: Final = frozenset({ConsoleRole.OPERATOR, ConsoleRole.INTEGRATION})
HOURS: Final = 24
SUBMISSIONS: Final = tuple(row.name for row in CATALOGUE if row.kind is TransactionKind.SUBMIT)
QUERIES: Final = tuple(
    row.name for row in CATALOGUE if row.kind in (TransactionKind.QUERY, TransactionKind.RETRIEVE)
)
ALL: Final = tuple(row.name for row in CATALOGUE)
_HEIGHT: Final = 160
_BAR: Final = 24
_ROW: Final = 28
_WIDTH: Final = HOURS * _BAR


@dataclass(frozen=True, slots=True)
class ChartBar:
    """A bar, in the units of its drawing."""

    label: str
    number: str
    place: int
    length: int
    """Of the whole bar."""
    refused: int = 0
    """Of its part for what was refused."""
    refusals: int = 0


@dataclass(frozen=True, slots=True)
class Chart:
    """Bars beside one another, or below one another."""

    id: str
    title: str
    said: str
    """What it shows, in words."""
    heading: str
    """Of the column of the labels."""
    unit: str
    bars: Sequence[ChartBar]
    most: str = ""
    """What the longest bar is of."""
    is_wide: bool = False
    """Whether the bars lie, one below the other."""
    has_refusals: bool = False

    @property
    def height(self) -> int:
        """The height of the drawing."""
        return len(self.bars) * _ROW if self.is_wide else _HEIGHT


def show(visit: Visit) -> Answer:
    """Show the charts of the last 24 hours, and of what waits and takes long now."""
    hours = last_hours(visit, HOURS) if visit.domain.audit_log is not None else []
    charts = [*_by_hour(hours), *_of_queue(visit), *_of_latency(visit)]
    values = {"charts": charts, "is_audited": bool(hours), "width": _WIDTH, "full": _HEIGHT}
    return PageContent({**values, "row": _ROW, "bar": _BAR})


# --- by hour -------------------------------------------------------------------------------------


def last_hours(visit: Visit, number: int) -> list[HourCount]:
    """Return the counts of the last hours by the clock, the present one last."""
    database = visit.domain.database
    with database.read() as connection:
        now = database.milliseconds(connection)
        end = now // HOUR * HOUR + HOUR
        return activity.by_hour(connection, end - number * HOUR, end)


def _by_hour(hours: Sequence[HourCount]) -> Iterator[Chart]:
    if not hours:
        return
    for name, title, said, transactions in (
        ("submissions", "Submissions by hour", "Submissions", SUBMISSIONS),
        ("queries", "Queries and retrievals by hour", "Queries and retrievals", QUERIES),
        ("refusals", "Refusals by hour", "What was refused or failed", ()),
    ):
        yield _hourly(name, title, said, transactions, hours)


def _hourly(
    name: str, title: str, said: str, transactions: Collection[str], hours: Sequence[HourCount]
) -> Chart:
    refused = [one.refused(transactions or ALL) for one in hours]
    numbers = [one.number(transactions) for one in hours] if transactions else refused
    most, total = max(numbers), sum(numbers)
    told = f"{said} in the last {len(hours)} hours: {total:,} in all, {most:,} in one hour at most"
    if transactions:
        told = f"{told}; {sum(refused):,} were refused or failed"
    return Chart(
        id=name,
        title=title,
        said=f"{told}.",
        heading="Hour (UTC)",
        unit="Number",
        bars=[
            ChartBar(
                label=datetime.fromtimestamp(one.start / 1000, UTC).strftime("%-d %b %H:00"),
                number=f"{number:,}",
                place=place * _BAR,
                length=_scaled(number, most, _HEIGHT),
                refused=_scaled(bad, most, _HEIGHT) if transactions else 0,
                refusals=bad,
            )
            for place, (one, number, bad) in enumerate(zip(hours, numbers, refused, strict=True))
        ],
        most=f"{most:,}",
        has_refusals=bool(transactions),
    )


def _scaled(number: float, most: float, length: int) -> int:
    return max(round(number / most * length), 1) if number else 0


# --- now -----------------------------------------------------------------------------------------


def _of_queue(visit: Visit) -> Iterator[Chart]:
    database = visit.domain.database
    with database.read() as connection:
        now = database.milliseconds(connection)
        states = overview.states(connection)
    ages = {
        name: max(now - one.oldest, 0) / 1000 for name, one in sorted(states.items()) if one.oldest
    }
    if ages:
        told = f"{len(ages)} channels have something that waits; the oldest waits {_time(ages)}."
        yield _lying("queue", "How long the oldest message of the queue waits", told, ages)


def _of_latency(visit: Visit) -> Iterator[Chart]:
    if visit.domain.metrics is None:
        return
    found = visit.domain.metrics.durations()
    times = {
        name: seconds
        for name, buckets in sorted(found.items())
        if (seconds := _ninety_five(buckets)) is not None
    }
    if times:
        told = "Of 100 transactions, 95 took no longer than this; since this server was started."
        yield _lying("latency", "How long transactions take", told, times)


def _ninety_five(buckets: Sequence[tuple[float, int]]) -> float | None:
    """Return the seconds within which 95 of 100 were done; None where there were none."""
    total = buckets[-1][1] if buckets else 0
    bounded = [seconds for seconds, number in buckets if number >= total * 0.95]
    if not total or not bounded:
        return None
    return min(bounded[0], buckets[-2][0])


def _lying(name: str, title: str, told: str, seconds: Mapping[str, float]) -> Chart:
    most = max(seconds.values())
    return Chart(
        id=name,
        title=title,
        said=told,
        heading="Channel" if name == "queue" else "Transaction",
        unit="Time",
        bars=[
            ChartBar(one, _words(value), place * _ROW, _scaled(value, most, _WIDTH // 2))
            for place, (one, value) in enumerate(seconds.items())
        ],
        is_wide=True,
    )


def _time(seconds: Mapping[str, float]) -> str:
    return _words(max(seconds.values()))


def _words(seconds: float) -> str:
    """Return a time in words."""
    if seconds < 1:
        return f"{round(seconds * 1000)} ms"
    for unit, size in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{round(seconds / size)} {unit}"
    return f"{seconds:g} seconds" if seconds < 10 else f"{round(seconds)} seconds"
