"""A result as the registry stores it, and as it is read again: nothing of it is lost."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

import orjson

from xds.content.reading.model import (
    ContentObservation,
    ObservationSpecimen,
    ObservationValue,
)
from xds.content.reading.rendered import value_with_unit
from xds.metadata import datatypes
from xds.metadata.objects import Code
from xds.registry.storage.observations import NewObservation

READER: Final = 2
"""Counted up when readers find more: then documents are read again by ``xds observations fill``."""
MOST_OBSERVATIONS: Final = 10_000
"""Of one document; it is not read where it has more, which no report has."""

_LOINC: Final = "2.16.840.1.113883.6.1"
_LONGEST_CODE: Final = 500
"""Characters of code and scheme; what is longer is no code, and no index takes it."""
_PARTS: Final = frozenset(
    {"category", "code", "interpretation", "notes", "specimen", "translations", "values"}
)
"""What is more than a text or a number."""


def stored(found: ContentObservation) -> NewObservation:
    """Return the row of a result: its first value, and all of it as JSON.

    It is known first by its LOINC code, where it has one, since a laboratory's own says little to
    others.
    """
    value = found.values[0] if found.values else ObservationValue(kind="absent")
    texts = [value.text, *map(value_with_unit, found.values[1:])]
    return NewObservation(
        codes=tuple(_codes(found)),
        name=_plain(found.name),
        value_kind=value.kind,
        value_number=_number(value.number),
        value=_plain("; ".join(texts)),
        unit=_plain(value.unit),
        reference_range=_plain(found.reference_range),
        interpretation=_plain(" ".join(one.code for one in found.interpretation)),
        specimen=_plain(found.specimen.text) if found.specimen is not None else "",
        time=_time(found.time),
        status=_plain(found.status),
        is_earlier=found.is_earlier,
        content=_json(found),
    )


def _codes(found: ContentObservation) -> Iterator[tuple[str, str]]:
    codes = [one for one in (found.code, *found.translations) if one is not None]
    for one in sorted(codes, key=lambda one: one.coding_scheme != _LOINC):
        code, scheme = _plain(one.code), _plain(one.coding_scheme)
        if len(code) + len(scheme) <= _LONGEST_CODE:
            yield code, scheme


def _plain(text: str) -> str:
    """Return a text that every database takes."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")


def _number(said: str) -> float | None:
    try:
        number = float(said)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _time(said: str) -> str | None:
    try:
        datatypes.check_dtm(said)
    except ValueError:
        return None
    return said


def _json(found: ContentObservation) -> str:
    return orjson.dumps(_without_nothing(asdict(found))).decode()


def _without_nothing(thing: Any) -> Any:
    if isinstance(thing, dict):
        return {name: _without_nothing(value) for name, value in thing.items() if value}
    if isinstance(thing, list | tuple):
        return [_without_nothing(one) for one in thing]
    return thing


def read(content: str) -> ContentObservation:
    """Return the result of which the JSON is stored."""
    said: Mapping[str, Any] = orjson.loads(content)
    plain = {name: value for name, value in said.items() if name not in _PARTS}
    return ContentObservation(
        **{"name": "", "status": "", **plain},
        interpretation=tuple(map(_code, said.get("interpretation", ()))),
        translations=tuple(map(_code, said.get("translations", ()))),
        code=_optional_code(said.get("code")),
        category=_optional_code(said.get("category")),
        specimen=_specimen(said.get("specimen")),
        values=tuple(map(_value, said.get("values", ()))),
        notes=tuple(said.get("notes", ())),
    )


def _code(said: Mapping[str, str]) -> Code:
    return Code(said.get("code", ""), said.get("coding_scheme", ""), said.get("display_name", ""))


def _optional_code(said: Mapping[str, str] | None) -> Code | None:
    return _code(said) if said else None


def _value(said: Mapping[str, Any]) -> ObservationValue:
    return ObservationValue(**{**said, "code": _optional_code(said.get("code"))})


def _specimen(said: Mapping[str, Any] | None) -> ObservationSpecimen | None:
    if said is None:
        return None
    identifiers: Sequence[str] = said.get("identifiers", ())
    return ObservationSpecimen(
        **{**said, "type": _optional_code(said.get("type")), "identifiers": tuple(identifiers)}
    )
