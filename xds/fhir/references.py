"""Where a Reference leads (FHIR R4 references, bundle.html#references; MHD 2:3.65.4.1.2).

A reference may name a resource of the request by its fullUrl or relative to it, one of this server
by its id or absolute URL, one that a search finds, one of another server, or only say an
identifier. Here it is told which; what is found there, the callers look up.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final
from urllib.parse import parse_qsl

from xds.fhir import vocabulary as v
from xds.fhir.r4.resource import Resource


@dataclass(frozen=True, slots=True)
class Subject:
    """A subject as it stands in a request."""

    reference: Resource
    of: Resource
    """The resource that it stands in."""
    path: str
    """Its own FHIRPath."""
    full_url: str = ""
    """That of the entry with the resource."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One entry of a Bundle."""

    index: int
    place: str
    """The FHIRPath of the entry, such as ``Bundle.entry[0]``."""
    path: str
    """The FHIRPath of the entry's resource."""
    kind: str
    """What it is for, in the words of the transaction."""
    method: str
    url: str
    """``request.url`` without the server's base and outer slashes, such as ``List``."""
    full_url: str
    resource: Resource
    resource_type: str
    """The type of the resource as the client sent it: a DocumentManifest is read as List."""
    is_context: bool = False
    """Whether it is there for others to refer to, such as a Patient or a Practitioner."""

    @property
    def type(self) -> str:
        """The type of the resource that the entry is about."""
        return self.url.partition("?")[0].partition("/")[0]

    @property
    def identity(self) -> str:
        """``Type/id`` where the request names an instance, else nothing."""
        return self.url if "/" in self.url and "?" not in self.url else ""


@dataclass(frozen=True, slots=True)
class InRequest:
    """An entry of the request."""

    entry: Entry


@dataclass(frozen=True, slots=True)
class Contained:
    """A resource that stands within the one that refers to it."""

    resource: Resource


@dataclass(frozen=True, slots=True)
class Held:
    """A resource of this server, or none if it has no such id."""

    type: str
    id: str


@dataclass(frozen=True, slots=True)
class ConditionalReference:
    """Whatever one resource of this server a search finds: a conditional reference."""

    type: str
    parameters: tuple[tuple[str, str], ...]

    @property
    def identifier(self) -> Resource | None:
        """The Identifier that is searched for; None where the search is another."""
        if len(self.parameters) != 1 or self.parameters[0][0] != "identifier":
            return None
        system, bar, value = self.parameters[0][1].rpartition("|")
        return {"system": system, "value": value} if bar and system else {"value": value}


@dataclass(frozen=True, slots=True)
class Named:
    """Something that only an identifier is known of: a logical reference."""

    identifier: Resource


@dataclass(frozen=True, slots=True)
class Foreign:
    """A resource of another server."""

    url: str


@dataclass(frozen=True, slots=True)
class Dangling:
    """Nothing; ``reason`` completes the sentence "the reference ..."."""

    reason: str
    is_contained: bool = False
    """Whether it is a reference into the resource itself, which must lead somewhere (R4 ref-1)."""


def is_elsewhere(found: "Destination") -> bool:
    """Tell whether what a reference leads to is not to be had here.

    An identifier beside such a reference still says what is meant.
    """
    return isinstance(found, Foreign) or (isinstance(found, Dangling) and not found.is_contained)


Destination = InRequest | Contained | Held | ConditionalReference | Named | Foreign | Dangling

_NO_ENTRY: Final = (
    "leads to no entry of the Bundle; what this server has already is named by its URL (Type/id), "
    "or by Reference.identifier alone"
)
_TYPE: Final = r"[A-Z][A-Za-z]{1,63}"
_INSTANCE: Final = re.compile(
    rf"({_TYPE})/([A-Za-z0-9.-]{{1,64}})(?:/_history/[A-Za-z0-9.-]{{1,64}})?"
)
_SEARCH: Final = re.compile(rf"({_TYPE})\?(.+)")
_ABSOLUTE: Final = re.compile(r"(?i)https?://.+")
_UUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(frozen=True)
class References:
    """The references of one request."""

    base: str
    """The server's own base URL, as this client sees it."""
    entries: tuple[Entry, ...] = ()

    @cached_property
    def _by_full_url(self) -> Mapping[str, Entry]:
        return {entry.full_url: entry for entry in self.entries if entry.full_url}

    @cached_property
    def _by_identity(self) -> Mapping[str, Entry]:
        # a PATCH is about a resource of the server, and has none itself
        return {
            entry.identity: entry
            for entry in self.entries
            if entry.identity and entry.method != "PATCH"
        }

    def follow(self, reference: Resource, of: Resource, full_url: str = "") -> Destination:
        """Tell where a Reference element leads that stands in the resource ``of``.

        ``full_url`` is that of the entry with the resource: relative references begin there.
        """
        text: str = reference.get("reference") or ""
        if not text:
            identifier = reference.get("identifier")
            return Named(identifier) if identifier else Dangling("names nothing")
        if text.startswith("#"):
            return _contained(text[1:], of)
        return self.lead(text, full_url)

    def lead(self, url: str, full_url: str = "") -> Destination:
        """Tell where a URL leads that stands in a resource whose entry has ``full_url``."""
        if url[:9].lower() == v.UUID_URN or url.startswith(v.OID_URN):
            found = self._by_full_url.get(url.lower())
            return InRequest(found) if found else Dangling(_NO_ENTRY)
        if _ABSOLUTE.match(url):
            return self._absolute(url)
        return self._relative(url.lstrip("/"), full_url)

    def _absolute(self, url: str) -> Destination:
        if found := self._by_full_url.get(url.partition("/_history/")[0].rstrip("/")):
            return InRequest(found)
        if url.startswith(f"{self.base}/"):
            return self._relative(url.removeprefix(f"{self.base}/"), "")
        return Foreign(url)

    def _relative(self, url: str, full_url: str) -> Destination:
        if instance := _INSTANCE.fullmatch(url):
            identity = f"{instance[1]}/{instance[2]}"
            found = self._by_identity.get(identity) or self._beside(identity, full_url)
            return InRequest(found) if found else Held(instance[1], instance[2])
        if search := _SEARCH.fullmatch(url):
            return ConditionalReference(
                search[1], tuple(parse_qsl(search[2], keep_blank_values=True))
            )
        return Dangling(
            "is neither Type/id nor a search nor a URL; an identifier is Reference.identifier"
        )

    def server(self, url: str) -> Destination:
        """Tell where a relative URL leads on this server, whatever the request has."""
        return References(self.base).lead(url)

    def _beside(self, identity: str, full_url: str) -> Entry | None:
        """Return the entry of that identity on the server of the referring entry's fullUrl."""
        own = _ABSOLUTE.match(full_url) and re.fullmatch(rf"(.+)/{_TYPE}/[^/]+", full_url)
        return self._by_full_url.get(f"{own[1]}/{identity}") if own else None

    def resource(self, reference: Resource, full_url: str = "") -> Resource | None:
        """Return the resource of the request that a Reference leads to, if to any."""
        if not reference.get("reference"):
            return None
        found = self.follow(reference, {}, full_url)
        if isinstance(found, InRequest) and found.entry.is_context:
            return found.entry.resource or None
        return None


def _contained(identifier: str, of: Resource) -> Destination:
    """Look for a contained resource; it stands at the outer resource only (R4 references 2.3.1)."""
    for resource in of.get("contained") or ():
        if resource.get("id") == identifier:
            return Contained(resource)
    return Dangling("leads to no contained resource", is_contained=True)


def entry_uuid(resource_id: str) -> str | None:
    """Return the entryUUID of a resource id; None where no entry can have it."""
    bare = resource_id.lower()
    return f"{v.UUID_URN}{bare}" if _UUID.fullmatch(bare) else None
