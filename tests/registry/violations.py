"""What a violation of a rule is: a good message, one named change, and the error that must follow.

A new rule needs a row in one of the tables that :data:`VIOLATIONS` joins; a test fails until then.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

from lxml import etree

from tests.registry import wire
from tests.registry.edits import Edit
from tests.registry.wire import World
from tests.serving import Server

METADATA: Final = "XDSRegistryMetadataError"
UNRESOLVED: Final = "UnresolvedReferenceException"
DEPRECATED: Final = "XDSRegistryDeprecatedDocumentError"
MISMATCH: Final = "XDSPatientIdDoesNotMatch"
UNKNOWN_PATIENT: Final = "XDSUnknownPatientId"

SCHEMA: Final = "schema"
"""Stands for a rule where it is the schema that a message breaks."""

Step = Callable[[Server, World], None]


def registered(fixture: str, edit: Edit | None = None) -> Step:
    """Return the step that registers a fixture, changed or not."""
    return partial(_register, fixture, edit)


def _register(fixture: str, edit: Edit | None, server: Server, world: World) -> None:
    wire.accept(server, message(world, fixture, edit))


def message(world: World, fixture: str, edit: Edit | None = None) -> etree._Element:
    """Return a fixture with a change, in the names of a world."""
    root = etree.parse(wire.FIXTURES / f"{fixture}.xml").getroot()
    if edit is not None:
        edit(root)
    return etree.fromstring(world.text(etree.tostring(root, encoding="unicode")))


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """One change that makes a good message wrong, and the error that tells of it."""

    name: str
    rule: str
    edit: Edit
    code: str
    words: tuple[str, ...]
    """What the codeContext must say, in the names of the fixtures."""
    at: str = "document"
    """The location: the id of the object as submitted."""
    fixture: str = "iti42/comprehensive_document"
    before: tuple[Step, ...] = ()
    """What is registered first."""
    also: tuple[str, ...] = ()
    """Codes of the errors that the same change brings about besides."""
    transaction: str = "ITI-42"
    server: str = "open"
    """Which of the served deployments it needs."""
