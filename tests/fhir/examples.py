"""The official examples of MHD 4.2.4 and of its profiles, where the reference data is present."""

from typing import Any, Final

import pytest
from lxml import etree

from tests.reference import FHIR as FOLDER
from tests.reference import absent
from xds.fhir.r4 import xml

OFFICIAL: Final = sorted(FOLDER.glob("*/*.json"))
"""All resources of the reference data."""

official = pytest.mark.parametrize(
    "path",
    OFFICIAL or [pytest.param(None, marks=pytest.mark.skip(reason=absent(FOLDER)))],
    ids=lambda path: path and path.stem,
)
"""Runs a test with each of them."""


def canonical(thing: Any) -> Any:
    """Return a resource with its narratives in one spelling of XML, so that ``==`` is right."""
    if isinstance(thing, list):
        return [canonical(one) for one in thing]
    if not isinstance(thing, dict):
        return thing
    return {
        name: etree.tostring(xml.narrative(value), method="c14n")
        if name == "div" and isinstance(value, str)
        else canonical(value)
        for name, value in thing.items()
    }
