"""Who asks: a node, and the user that an assertion or a token vouches for (ITI TF-2 3.19, 3.40)."""

from dataclasses import dataclass
from typing import Final

from xds.metadata.objects import Code
from xds.security.node import NOWHERE, Node


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """What a verified assertion says of a user (ITI TF-2 3.40.4.1.2)."""

    name_id: str
    """The NameID of the subject, or the ``sub`` of a token."""
    issuer: str
    alias: str = ""
    """The SPProvidedID of the NameID."""
    subject_id: str = ""
    """The name in plain text."""
    organization: str = ""
    organization_id: str = ""
    home_community_id: str = ""
    provider_identifiers: tuple[str, ...] = ()
    roles: tuple[Code, ...] = ()
    purposes_of_use: tuple[Code, ...] = ()
    resource_ids: tuple[str, ...] = ()
    """Patient ids (CX) that the assertion is about."""
    scopes: frozenset[str] = frozenset()
    """The scopes of a token; an assertion has none."""
    assertion_id: str = ""

    @property
    def audit_name(self) -> str:
        """The name for an audit record: ``alias<user@issuer>`` (ITI TF-2 3.40.4.2)."""
        return f"{self.alias}<{self.name_id}@{self.issuer}>"


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """A node, and the user that it acts for, if it says so."""

    node: Node = NOWHERE
    user: User | None = None


UNKNOWN: Final = Caller()
