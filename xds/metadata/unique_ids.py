"""When two texts are one uniqueId (ITI TF-3 4.2.3.2.26).

XDS lets the uniqueId of a document have any form, FHIR writes an OID or UUID as a URI (Appendix
E.3), and people write URIs in either case. So an OID with ``urn:oid:`` before it is the OID, and a
``urn:uuid:`` is the same in any case. Any other two texts are two uniqueIds.

What is registered stays as it was written, and queries answer so. For look-ups the registry keeps
the normal form in its column and asks for the normal form (:class:`xds.registry.tables.UniqueId`),
and the repository's index keeps new documents under it. Rules compare normal forms.
"""

import re
from collections.abc import Iterator
from typing import Final

from xds.metadata import vocabulary as v
from xds.metadata.datatypes import HD, CXi, is_oid

_URN: Final = "urn:"
_OID_URN: Final = "urn:oid:"
_UUID_URN: Final = re.compile(r"(?i:urn:uuid:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})")


def normal(unique_id: str) -> str:
    """Return the form that all spellings of a uniqueId share."""
    if unique_id[: len(_URN)].lower() != _URN:
        return unique_id
    if _UUID_URN.fullmatch(unique_id):
        return unique_id.lower()
    if unique_id[: len(_OID_URN)].lower() == _OID_URN:
        oid = unique_id[len(_OID_URN) :]
        return oid if is_oid(oid) else unique_id
    return unique_id


def as_reference(name: str) -> str:
    """Return what a document calls itself as a value of referenceIdList (ITI TF-3 4.2.3.2.28)."""
    root, _, extension = name.partition("^")
    if extension and is_oid(root):
        return str(CXi(extension, v.OWN_ID, HD("", root)))
    return str(CXi(name, v.OWN_ID))


def spellings(unique_id: str) -> Iterator[str]:
    """Yield the spellings that a registry which knows no normal form may have of a uniqueId."""
    yield unique_id
    plain = normal(unique_id)
    others = (_OID_URN + plain,) if is_oid(plain) else (_upper(plain),)
    yield from {one: None for one in (plain, *others) if one != unique_id}


def _upper(unique_id: str) -> str:
    """Return a UUID with its digits in upper case, as some programs write them."""
    start, digits = unique_id[:9], unique_id[9:]
    return start + digits.upper() if _UUID_URN.fullmatch(unique_id) else unique_id
