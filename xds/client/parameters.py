"""Parameters of stored queries, as they are written into Slots (ITI TF-2 3.18.4.1.2.3.5)."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypedDict

from xds.metadata.ebrim import Slot
from xds.metadata.objects import Code

LONGEST_VALUE: Final = 256
"""Characters of one Value, by the schema of ebRIM; longer lists go into several Values."""

Item = str | int | Code


@dataclass(frozen=True, slots=True)
class AllOf:
    """Lists that must each be satisfied (AND), while one item of a list is enough (OR).

    Only parameters for attributes with many values admit this, such as eventCodeList.
    """

    lists: tuple[Sequence[Item], ...]


QueryValue = Item | Sequence[Item] | AllOf
"""A text or number alone, or a list; a Code always stands in a list."""

Codes = Code | str | Sequence[Code | str] | AllOf


class DocumentFilters(TypedDict, total=False):
    """What FindDocuments can look for besides patient and status (ITI TF-2 3.18.4.1.2.3.7.1).

    A code is a Code or a text ``code^^codingScheme``; times are DTMs, from the first and up to,
    but not including, the second; a person is a pattern with ``%`` and ``_``; type tells whether
    Stable or On-Demand entries are meant.
    """

    class_code: Codes
    type_code: Codes
    practice_setting_code: Codes
    healthcare_facility_type_code: Codes
    event_code_list: Codes
    confidentiality_code: Codes
    format_code: Codes
    author_person: str | Sequence[str]
    creation_time_from: str
    creation_time_to: str
    service_start_time_from: str
    service_start_time_to: str
    service_stop_time_from: str
    service_stop_time_to: str
    type: str | Sequence[str]


def document_parameters(filters: DocumentFilters) -> Iterator[tuple[str, QueryValue]]:
    """Yield the parameters for filters; TypeError for one that FindDocuments does not have.

    A registry ignores a parameter that it does not know, and would find too much.
    """
    for name, value in filters.items():
        if name not in DocumentFilters.__annotations__:
            raise TypeError(f"FindDocuments has no parameter for {name}")
        parameter = "$XDSDocumentEntry" + "".join(map(str.capitalize, name.split("_")))
        single = isinstance(value, str) and not _is_time(parameter)
        yield parameter, (value,) if single else value  # type: ignore[misc]


def slots(parameters: Mapping[str, QueryValue]) -> Iterator[Slot]:
    """Yield the Slots for parameters by their names in the TF, ``$`` included."""
    for name, value in parameters.items():
        for group in value.lists if isinstance(value, AllOf) else (value,):
            yield Slot(name, tuple(_values(name, group)))


def _values(name: str, value: Item | Sequence[Item]) -> Iterator[str]:
    if isinstance(value, str | int):
        yield _written(name, value)
    else:
        items = (value,) if isinstance(value, Code) else value
        if not items:
            raise ValueError(f"{name}: an empty list finds nothing")
        yield from _lists(_written(name, item) for item in items)


def _written(name: str, item: Item) -> str:
    if isinstance(item, int) or (_is_time(name) and item):
        return str(item)
    return "'" + str(item).replace("'", "''") + "'"


def _is_time(name: str) -> bool:
    """Tell a parameter for times, which are written as numbers."""
    return name.endswith(("TimeFrom", "TimeTo"))


def _lists(items: Iterable[str]) -> Iterator[str]:
    """Put items into lists in parentheses, each as long as one Value may be."""
    waiting: list[str] = []
    length = 1
    for item in items:
        if waiting and length + len(item) + 1 > LONGEST_VALUE:
            yield f"({','.join(waiting)})"
            waiting, length = [], 1
        waiting.append(item)
        length += len(item) + 1
    if waiting:
        yield f"({','.join(waiting)})"
