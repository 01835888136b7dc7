"""What is measured and how it is told: goals, the figures of each round, and the table of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One line of the table: what is measured, and what it should reach."""

    title: str
    unit: str
    goal: float
    at_most: bool = False
    """Whether less is better."""
    of_yardstick: bool = False
    """Whether the goal is a share of the yardstick."""

    def reached(self, value: float, yardstick: float) -> bool:
        """Tell whether a value is as good as it should be."""
        goal = self.goal * yardstick if self.of_yardstick else self.goal
        return value <= goal if self.at_most else value >= goal

    def goal_text(self) -> str:
        """Tell the goal in a few characters."""
        sign = "<=" if self.at_most else ">="
        if self.of_yardstick:
            return f"{sign} {self.goal:.0%} of it"
        return f"{sign} {number(self.goal)} {self.unit}"


@dataclass(frozen=True, slots=True)
class Effort:
    """What the requests of a load took: waiting in the client, processor time at both ends."""

    p50: float
    p95: float
    server: float
    """Seconds of processor time for a request, in all processes of the server."""
    client: float


@dataclass(frozen=True, slots=True)
class Figure:
    """What one round gave for one measure."""

    value: float
    yardstick: float
    effort: Effort | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """The figures of every round for one measure."""

    measure: Measure
    figures: Sequence[Figure]

    @property
    def value(self) -> float:
        """The median."""
        return median(figure.value for figure in self.figures)

    @property
    def yardstick(self) -> float:
        """The median of the yardstick's."""
        return median(figure.yardstick for figure in self.figures)

    @property
    def is_reached(self) -> bool:
        """Whether the median is as good as it should be."""
        return self.measure.reached(self.value, self.yardstick)


_HEAD: Final = ("measure", "reached", "spread", "goal", "", "yardstick", "p50", "p95")
_COSTS: Final = ("server", "client")
_ROW: Final = "{:<34} {:>12} {:>17} {:>12} {:<4} {:>12} {:>8} {:>8} {:>8} {:>8}"


def head() -> str:
    """Give the headings of the table."""
    return _ROW.format(*_HEAD, *_COSTS).rstrip()


def row(result: Result) -> str:
    """Give the line of the table for one measure."""
    return _ROW.format(*_cells(result)).rstrip()


def _cells(result: Result) -> list[str]:
    unit = result.measure.unit
    values = [figure.value for figure in result.figures]
    return [
        result.measure.title,
        f"{number(result.value)} {unit}",
        f"{number(min(values))} to {number(max(values))}",
        result.measure.goal_text(),
        "yes" if result.is_reached else "NO",
        f"{number(result.yardstick)} {unit}" if result.yardstick else "",
        *_effort_cells([figure.effort for figure in result.figures if figure.effort]),
    ]


def _effort_cells(efforts: Sequence[Effort]) -> list[str]:
    if not efforts:
        return [""] * 4
    columns = zip(*((one.p50, one.p95, one.server, one.client) for one in efforts), strict=True)
    return [f"{median(column) * 1000:.2f} ms" for column in columns]


def number(value: float) -> str:
    """Show a number with as many places as say something."""
    return f"{value:,.0f}" if value >= 10 else f"{value:.2f}"
