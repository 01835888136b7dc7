"""What a deployment knows beside a document, by which it is read."""

from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from functools import cache

from xds.content.reading.cda_schema import CdaSchema
from xds.metadata.systems import Systems


@cache
def _shipped() -> Systems:
    return Systems.read()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingRules:
    """How documents are read here."""

    time_zone: tzinfo = UTC
    """Of times that state none."""
    systems: Systems = field(default_factory=_shipped)
    """By which OID a code system of FHIR goes."""
    cda_schema: CdaSchema | None = None
    """What CDA documents are compared with; None: with nothing."""


PLAIN = ReadingRules()
"""Without anything of a deployment's own."""
