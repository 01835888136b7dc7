"""What the workbench asks with, and what it shows of an answer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from xds.config import Config

FIELDS: Final = tuple(f"v{number}" for number in range(25))
"""The fields of a form for the parameters of a query, in their order."""
MOST_RESULTS: Final = 200
USUAL_RESULTS: Final = 25
_MOST_RAW: Final = 256 << 10


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedParameter:
    """A parameter of a query as a field of a form."""

    field: str
    name: str
    hint: str
    comes_first: bool
    """Whether one of these is needed, which most queries do without others."""
    is_many: bool
    """Whether several lines can be given."""
    value: str
    usual: str = ""
    """What stands there at first."""


@dataclass(frozen=True, slots=True)
class AnsweredError:
    """An error or a warning of an answer."""

    code: str
    context: str
    severity: str
    location: str = ""


@dataclass(frozen=True, slots=True)
class AnsweredObject:
    """One thing that was found."""

    kind: str
    name: str
    detail: str
    id: str
    place: str = ""
    """Its page, below /console; empty where there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkbenchAnswer:
    """What was answered, for the page."""

    status: str
    is_success: bool
    errors: Sequence[AnsweredError]
    objects: Sequence[AnsweredObject]
    total: str
    raw: str
    is_cut: bool = False
    following: str = ""
    """Where the next page of the result begins; empty where there is none."""


@dataclass(frozen=True, slots=True)
class AskingCommand:
    """How a program asks the same."""

    name: str
    text: str


def shown_raw(data: str) -> tuple[str, bool]:
    """Return as much of an answer as is shown, and whether there is more."""
    return data[:_MOST_RAW], len(data) > _MOST_RAW


def results(given: Mapping[str, str]) -> int:
    """Return how many results are wanted at once."""
    text = given.get("size", "")
    number = int(text) if text.isascii() and text.isdecimal() and len(text) < 5 else USUAL_RESULTS
    return min(max(number, 1), MOST_RESULTS)


def base(config: Config) -> str:
    """Return the URL of this server as programs have it."""
    return config.public_url or config.url
