"""The declared messages of WS-Notification beside OASIS's own schemas, on the examples of DSUB."""

from collections.abc import Iterator
from copy import deepcopy
from functools import cache

import pytest
from lxml import etree

from tests.reference import MESSAGES, REFERENCE, needs
from tests.test_schema_reference import (
    NOTIFICATION_SCHEMAS,
    REFERENCE_SCHEMAS,
    official_schema,
)
from xds import schema_validation
from xds.metadata import vocabulary as v

pytestmark = [needs(REFERENCE / "ws" / "wsn"), needs(MESSAGES / "dsub")]

NAMES = [path.name for path in sorted((MESSAGES / "dsub").glob("*.xml"))]
_OURS = {v.NS_WSNT, v.NS_WSRF_BF, v.NS_WSRF_R}


@cache
def theirs() -> etree.XMLSchema:
    return official_schema({**REFERENCE_SCHEMAS, **NOTIFICATION_SCHEMAS})


def broken_forms(whole: etree._Element) -> Iterator[etree._Element]:
    """Yield a message with each of its elements missing, doubled, renamed, and filled with text.

    What stands in a Filter is not renamed: OASIS wants it to be declared, and the broker says by
    InvalidFilterFault what it does not know.
    """
    for place, element in enumerate(whole.iter("*")):
        if etree.QName(element).namespace not in _OURS:
            continue
        is_filter = element.getparent().tag == f"{{{v.NS_WSNT}}}Filter"
        for change in (_without, _twice, _with_text, *(() if is_filter else (_renamed,))):
            copy = deepcopy(whole)
            change(list(copy.iter("*"))[place])
            yield copy


def _without(element: etree._Element) -> None:
    element.getparent().remove(element)


def _twice(element: etree._Element) -> None:
    element.addnext(deepcopy(element))


def _renamed(element: etree._Element) -> None:
    element.tag = f"{element.tag}X"


def _with_text(element: etree._Element) -> None:
    element.text = "neither a time nor a number"


@pytest.mark.parametrize("name", NAMES)
def test_verdicts_are_those_of_the_official_schemas(name: str) -> None:
    """On each example, and on each with one element of it missing, doubled, renamed or filled."""
    whole = etree.parse(str(MESSAGES / "dsub" / name)).getroot()
    assert schema_validation.problems(whole) == []
    assert theirs().validate(whole)
    for broken in broken_forms(whole):
        valid = theirs().validate(broken)
        assert (schema_validation.problems(broken) == []) is valid, etree.tostring(broken)
