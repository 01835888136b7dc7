"""Who asks: a node, and the user that an assertion or a token vouches for (ITI TF-2 3.19, 3.40)."""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any, Final

from xds.metadata.datatypes import CX
from xds.metadata.objects import Code
from xds.security.node import NOWHERE, Node
from xds.security.texts import require_text


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """What a verified assertion says of a user (ITI TF-2 3.40.4.1.2).

    UnacceptableText where a text of it cannot be kept and shown everywhere: it becomes a column of
    the audit records, and is compared with the rules of the policy.
    """

    name_id: str
    """The NameID of the subject, or the ``sub`` of a token."""
    issuer: str
    alias: str = ""
    """The SPProvidedID of the NameID."""
    subject_id: str = ""
    """The name in plain text."""
    organization: str = ""
    organization_id: str = ""
    organization_ids: tuple[str, ...] = ()
    """All of them, where an assertion names several; the one above is the first."""
    home_community_id: str = ""
    provider_identifiers: tuple[str, ...] = ()
    roles: tuple[Code, ...] = ()
    """Their coding schemes, and those of purposes, are canonical (:mod:`xds.metadata.systems`)."""
    purposes_of_use: tuple[Code, ...] = ()
    resource_ids: tuple[str, ...] = ()
    """Patient ids (CX) that the assertion is about."""
    patients: tuple[str, ...] = ()
    """Whom ``patient/`` scopes are about: SMART's claim ``patient``, else IUA's ``person_id``."""
    consent_documents: tuple[str, ...] = ()
    """Patient consents (BPPC) that the request goes by (ITI TF-2 3.40.4.1.2.3)."""
    access_policies: tuple[str, ...] = ()
    """The policies that those consents agree to."""
    scopes: frozenset[str] = frozenset()
    """The scopes of a token; an assertion has none."""
    assertion_id: str = ""

    def __post_init__(self) -> None:
        """Check every text, whoever has vouched for it."""
        require_text(text for one in fields(self) for text in _texts(getattr(self, one.name)))

    @property
    def audit_name(self) -> str:
        """The name for an audit record: ``alias<user@issuer>`` (ITI TF-2 3.40.4.2)."""
        return f"{self.alias}<{self.name_id}@{self.issuer}>"


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Code):
        yield from _texts((value.code, value.coding_scheme, value.display_name or ""))
    else:
        for one in value:
            yield from _texts(one)


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """A node, and the user that it acts for, if it says so."""

    node: Node = NOWHERE
    user: User | None = None


UNKNOWN: Final = Caller()


def resource_id(text: str) -> str:
    """Return a patient id in the form in which they are compared, where it is a CX at all."""
    try:
        return str(CX.parse(text))
    except ValueError:
        return text
