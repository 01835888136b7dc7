"""Values and periods in words, as readers see them; the same for CDA, FHIR and HL7 v2."""

from xds.content.reading.model import ObservationValue


def value_with_unit(value: ObservationValue) -> str:
    """Return a value as readers see it, with its unit."""
    return f"{value.text} {value.unit}".strip() if value.unit not in ("", "1") else value.text


def interval(low: str, high: str, unit: str = "") -> str:
    """Return a range of numbers in words: ``3.5 - 5 mmol/L``, ``>= 3.5``, ``<= 5``."""
    if low and high:
        said = low if low == high else f"{low} - {high}"
    elif low:
        said = f">= {low}"
    else:
        said = f"<= {high}" if high else ""
    return f"{said} {unit}".strip() if said and unit not in ("", "1") else said
