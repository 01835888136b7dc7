"""What a resource is here: plain data, as its JSON has it, with nothing parsed that is not used."""

from typing import Any

Resource = dict[str, Any]
"""A FHIR resource, or a part of one, as the JSON form has it."""
