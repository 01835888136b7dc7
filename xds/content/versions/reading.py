"""Bytes of a document of which nobody knows yet what it is, read for its versions alone."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from lxml import etree

from xds import parsing
from xds.content.reading.cda.document import clinical_document
from xds.content.reading.rules import ReadingRules
from xds.content.versions import cda, fhir
from xds.fhir.r4 import json, structure, xml
from xds.fhir.r4.outcome import Refused
from xds.fhir.r4.resource import Resource
from xds.metadata.submission import StatedVersion
from xds.metadata.systems import Systems

MOST_BYTES: Final = 16 << 20
"""Of a document that is read; of a larger one it is not known what it says of its versions."""

_BUNDLE: Final = f"{{{xml.NS_FHIR}}}Bundle"
_MARKS: Final = b"\xef\xbb\xbf\xff\xfe \0\t\r\n"
"""What may stand before the first sign of XML or JSON, in whatever encoding."""
_OF_BUNDLE: Final = ("identifier", "timestamp")
_OF_COMPOSITION: Final = ("identifier", "date", "relatesTo", "extension")
_NEEDED: Final[Resource] = {
    "status": "final",
    "type": {"text": "any"},
    "date": "2000",
    "author": [{"display": "any"}],
    "title": "any",
}


@dataclass(slots=True)
class VersionLook:
    """Passes the blocks of a document on, and keeps those of one that may say its version."""

    blocks: Iterable[bytes]
    _kept: list[bytes] = field(default_factory=list)
    _size: int = 0

    def __iter__(self) -> Iterator[bytes]:
        """Pass the blocks on."""
        self._kept.clear()
        self._size = 0
        for block in self.blocks:
            self._size += len(block)
            if self._size > MOST_BYTES or not _may_say(self._kept[0] if self._kept else block):
                self._kept.clear()
                self._size = MOST_BYTES
            else:
                self._kept.append(block)
            yield block

    def stated(self, rules: ReadingRules) -> StatedVersion | None:
        """Return what the document says, once all of it has been passed on."""
        return read(b"".join(self._kept), rules) if self._kept else None


def _may_say(block: bytes) -> bool:
    start = block.lstrip(_MARKS)[:1]
    return start in (b"<", b"{") or not start


def read(data: bytes, rules: ReadingRules) -> StatedVersion | None:
    """Return what a CDA or FHIR document says of its versions; None where it is neither.

    It never fails: whether a document is as it should be is not its affair.
    """
    if not _may_say(data):
        return None
    try:
        return _read(data, rules)
    except (parsing.MalformedXML, Refused):
        return None


def _read(data: bytes, rules: ReadingRules) -> StatedVersion | None:
    if data.lstrip(_MARKS)[:1] == b"{":
        return _of_bundle(json.read(data), rules.systems)
    root = parsing.parse(data)
    if (document := clinical_document(root)) is not None:
        return cda.stated(document, rules.time_zone)
    if root.tag == _BUNDLE and _is_document(root):
        return _of_bundle(xml.read(data)[0], rules.systems)
    return None


def _is_document(root: etree._Element) -> bool:
    kind = root.find(f"{{{xml.NS_FHIR}}}type")
    return kind is not None and kind.get("value") == "document"


def _of_bundle(bundle: Resource, systems: Systems) -> StatedVersion | None:
    small = _pruned(bundle)
    if small is None:
        return None
    composition: Resource = small["entry"][0]["resource"]
    # what a Composition has to have, and does not matter here
    whole = {**_NEEDED, **composition}
    checked = {**small, "entry": [{"resource": whole}]}
    if any(one.severity != "warning" for one in structure.problems(checked)):
        return None
    return fhir.stated(small, systems)


def _pruned(bundle: Resource) -> Resource | None:
    """Return a FHIR document with nothing but what its versions are read of."""
    entries: Any = bundle.get("entry")
    first = entries[0] if isinstance(entries, list) and entries else None
    composition = first.get("resource") if isinstance(first, dict) else None
    if not structure.is_document(bundle) or not isinstance(composition, dict):
        return None
    if composition.get("resourceType") != "Composition":
        return None
    said = {name: composition[name] for name in _OF_COMPOSITION if name in composition}
    return {
        "resourceType": "Bundle",
        "type": "document",
        **{name: bundle[name] for name in _OF_BUNDLE if name in bundle},
        "entry": [{"resource": {"resourceType": "Composition", **said}}],
    }
