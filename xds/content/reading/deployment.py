"""The rules of reading as the options of a deployment say them."""

from xds.config import Config
from xds.content import defaults
from xds.content.reading.cda_schema import schema_at
from xds.content.reading.rules import ReadingRules
from xds.metadata.systems import Systems


def rules_of(config: Config, systems: Systems, *, with_schema: bool = False) -> ReadingRules:
    """Return what the options say; DefaultsError, SchemaUnreadable. Files are read once.

    ``with_schema`` is for who shows a document: then CDA is compared with the schema of the option
    ``cda_schema``, which takes longer than reading it.
    """
    schema = config.cda_schema if with_schema else None
    return ReadingRules(
        time_zone=defaults.read(config.generate_defaults).time_zone,
        systems=systems,
        cda_schema=schema_at(schema) if schema is not None else None,
    )
