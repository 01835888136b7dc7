"""What an interaction is handed, and what it gives back; HTTP stays in the application."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from xds.fhir.r4.outcome import Issue
from xds.fhir.r4.resource import Resource as Resource
from xds.fhir.vocabulary import FHIR_JSON
from xds.security.access import Access


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request, read."""

    access: Access
    """Who asks, and what they may see."""
    base: str
    """The absolute URL of the FHIR base as this client sees it, without a slash at its end."""
    identifier: str = ""
    """The logical id in the path, where there is one."""
    version: str = ""
    """The versionId in the path, where a certain version is asked for."""
    parameters: tuple[tuple[str, str], ...] = ()
    """The parameters of URL and form, decoded, in their order."""
    resource: Resource = field(default_factory=dict)
    """The body; empty where there is none."""
    patch: Callable[[Resource], Resource] | None = None
    """The body of a PATCH: what it makes of a resource; Refused where it cannot be applied."""
    media_type: str = FHIR_JSON
    """The form of the body: FHIR_JSON or FHIR_XML."""
    if_match: str = ""
    """The header If-Match: the ETags of which the resource must have one before it changes."""
    prefer: Mapping[str, str] = field(default_factory=dict)
    """The preferences of the Prefer header by their name, such as ``return`` or ``handling``."""
    wants_page: bool = False
    """Whether a browser asks, and the interaction has pages for browsers."""
    warnings: tuple[Issue, ...] = ()
    """What was amiss in the body and could be read all the same; the answer will tell them."""


@dataclass(frozen=True, slots=True)
class RawContent:
    """A document as it is, in place of a resource."""

    media_type: str
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What is sent back: a resource, in the form that the client takes, or a document as it is."""

    resource: Resource | None = None
    content: RawContent | None = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
