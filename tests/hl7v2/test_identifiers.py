"""Which authority a CX names: by its OID, by the domain's own name, or by a name of the table."""

import pytest

from xds.hl7v2.identifiers import AssigningAuthority
from xds.metadata.systems import Systems

NHS = "2.16.840.1.113883.2.1.4.1"
NAMES = Systems.read().oid_of_namespace


@pytest.mark.parametrize(
    ("authority", "named", "oid"),
    [
        (AssigningAuthority(NHS, None, NAMES), ("NHS",), NHS),
        (AssigningAuthority(None, None, NAMES), ("NHS",), NHS),
        (AssigningAuthority("2.999.1.1", None, NAMES), ("NHS",), None),
        (AssigningAuthority("2.999.1.1", "NHS", NAMES), ("NHS",), "2.999.1.1"),
        (AssigningAuthority(NHS, None, NAMES), ("WARD",), None),
        (AssigningAuthority(None, None, NAMES), ("NHS", "2.999.1.2", "ISO"), "2.999.1.2"),
        (AssigningAuthority(NHS), ("NHS",), None),
    ],
)
def test_a_name_stands_for_an_oid(
    authority: AssigningAuthority, named: tuple[str, ...], oid: str | None
) -> None:
    assert authority.of((("1",), ("",), ("",), named)) == oid
