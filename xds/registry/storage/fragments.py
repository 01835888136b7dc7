"""Stored ebRIM fragments: rendered once, filled in with what has changed since on the way out.

A control character, which no XML can carry, marks the place of each changing value.
"""

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Final, NamedTuple, cast

from xds.metadata import ebrim
from xds.metadata import vocabulary as v
from xds.metadata.ebrim import Placeholder, RegistryObject, Slot, VersionInfo, escape
from xds.metadata.objects import (
    Association,
    DocumentEntry,
    Folder,
    MetadataObject,
    SubmissionSet,
    interpreted,
)
from xds.metadata.rendered import read as read_rendered
from xds.metadata.rendered_attributes import attributes_of
from xds.metadata.submission import LAST_DIGITS
from xds.parsing import parse
from xds.registry.storage.packing import packed, unpacked

_STATUS: Final = Placeholder("\x01")
_PATIENT: Final = Placeholder("\x02")
_UPDATED: Final = Placeholder("\x03")
_OWN, _SOURCE, _TARGET = "\x04", "\x05", "\x06"
"""Of UUIDs, which no compression makes shorter and which stand in columns."""

_OBJECT_TYPE: Final = re.compile(rb' objectType="([^"]*)"')
_PATIENT_ID_SCHEMES: Final[Mapping[type[RegistryObject], str]] = {
    DocumentEntry: v.DOCUMENT_ENTRY_PATIENT_ID,
    SubmissionSet: v.SUBMISSION_SET_PATIENT_ID,
    Folder: v.FOLDER_PATIENT_ID,
}

FIRST_VERSION: Final = 1
_PATIENTS: Final = 256
"""Patient ids whose form in XML is remembered: the objects of an answer have few."""


def fragment(thing: MetadataObject, version: int = FIRST_VERSION) -> bytes:
    """Render what never changes of an object, with marks for what does, and pack it."""
    ends = (thing.source, thing.target) if isinstance(thing, Association) else ()
    return kept(rendered(thing, version), thing.id, *ends)


def kept(text: str, entry_uuid: str, *ends: str) -> bytes:
    """Pack a rendered object: with marks for its own UUID, and for an Association's two ends."""
    for end, mark in zip(ends, (_SOURCE, _TARGET), strict=False):
        text = text.replace(end, mark)
    return packed(text.replace(entry_uuid[:-LAST_DIGITS], _OWN).encode())


def rendered(thing: MetadataObject, version: int = FIRST_VERSION) -> str:
    """Render what never changes of an object, with marks for what does."""
    changes: dict[str, object] = {"status": _STATUS}
    if isinstance(thing, DocumentEntry | SubmissionSet | Folder):
        scheme = _PATIENT_ID_SCHEMES[type(thing)]
        changes["external_identifiers"] = tuple(
            ebrim.changed(e, value=_PATIENT) if e.identificationScheme == scheme else e
            for e in thing.external_identifiers
        )
        changes["lid"] = thing.lid or thing.id
        changes["version_info"] = VersionInfo(str(version))
    if isinstance(thing, Folder):
        others = tuple(s for s in thing.slots if s.name != "lastUpdateTime")
        changes["slots"] = (*others, Slot("lastUpdateTime", (_UPDATED,)))
    return ebrim.render(ebrim.changed(thing, **changes))


def _versioned(text: bytes, entry_uuid: str) -> bytes:
    """Give a SubmissionSet lid and VersionInfo, which schema 2.0 has first stored without them.

    It has one version, and Classifications always, before which VersionInfo stands.
    """
    end = text.index(b">")
    if b' lid="' not in text[:end]:
        text = b'%b lid="%b"%b' % (text[:end], entry_uuid.encode(), text[end:])
    if b"<rim:VersionInfo" not in text:
        version = f'<rim:VersionInfo versionName="{FIRST_VERSION}"/>'.encode()
        text = text.replace(b"<rim:Classification", version + b"<rim:Classification", 1)
    return text


def parsed(found: "Iterable[FoundObject]") -> list[MetadataObject]:
    """Read stored objects back, as a query would give them out."""
    return [cast("MetadataObject", interpreted(_read(one.leaf()))) for one in found]


def content_of(found: "FoundObject") -> MetadataObject:
    """Read a stored object for those who look at its attributes alone, which need no parts."""
    leaf = found.leaf()

    def whole() -> MetadataObject:
        return cast("MetadataObject", interpreted(_read(leaf)))

    kind = cast("type[MetadataObject]", found.kind)
    return attributes_of(leaf.decode(), kind, whole)


def _read(leaf: bytes) -> RegistryObject:
    known = read_rendered(leaf.decode())
    if known is not None:
        return known
    root = parse(b'<rim:List xmlns:rim="%b">%b</rim:List>' % (v.NS_RIM.encode(), leaf))
    (read,) = ebrim.read_list(root)
    return read


@lru_cache(_PATIENTS)
def _escaped(patient_id: str) -> bytes:
    return escape(patient_id).encode()


class FoundObject(NamedTuple):
    """One object that a query found; a tuple, as they are made by the thousand."""

    kind: type[RegistryObject]
    number: int
    """Objects of a kind are numbered in the order of registration."""
    entry_uuid: str
    home_community_id: str | None
    availability_status: str
    patient_id: str | None = None
    last_update_time: str | None = None
    source: str | None = None
    target: str | None = None
    fragment: bytes | None = None
    """None where only references were asked for."""

    def leaf(self) -> bytes:
        """Return the object as ebRIM XML; the prefix ``rim`` is bound by the receiver."""
        assert self.fragment is not None, "references carry no metadata"
        text = unpacked(self.fragment).replace(b"\x01", self.availability_status.encode())
        text = text.replace(b"\x04", self.entry_uuid[:-LAST_DIGITS].encode())
        if self.kind is Association:
            text = text.replace(b"\x05", (self.source or "").encode())
            return text.replace(b"\x06", (self.target or "").encode())
        text = text.replace(b"\x02", _escaped(self.patient_id or ""))
        if self.kind is SubmissionSet:
            return _versioned(text, self.entry_uuid)
        if self.kind is Folder:
            text = text.replace(b"\x03", (self.last_update_time or "").encode())
        return text

    @property
    def object_type(self) -> str | None:
        """Its objectType, without reading more than the start of it."""
        assert self.fragment is not None, "references carry no metadata"
        text = unpacked(self.fragment)
        found = _OBJECT_TYPE.search(text, 0, text.index(b">"))
        return None if found is None else found[1].decode()

    def object_ref(self) -> bytes:
        """Return a ``rim:ObjectRef`` to the object."""
        home = f' home="{escape(self.home_community_id)}"' if self.home_community_id else ""
        return f'<rim:ObjectRef id="{self.entry_uuid}"{home}/>'.encode()
