"""The rules of reading as the options of a deployment say them."""

from xds.config import Config
from xds.content import defaults
from xds.content.reading.cda_schema import schema_at
from xds.content.reading.rules import ReadingRules
from xds.metadata.systems import Systems


def rules_of(config: Config, systems: Systems) -> ReadingRules:
    """Return what the options say; DefaultsError, SchemaUnreadable. Files are read once."""
    return ReadingRules(
        time_zone=defaults.read(config.generate_defaults).time_zone,
        systems=systems,
        cda_schema=schema_at(config.cda_schema) if config.cda_schema is not None else None,
    )
