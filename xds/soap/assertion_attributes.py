"""The attributes of an assertion: what it says of its subject (ITI TF-2 3.40.4.1.2.1 to 2.3).

Statements may be several, and one attribute may stand in several of them, with several values.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from lxml import etree

from xds.metadata.objects import Code
from xds.metadata.systems import Systems
from xds.security.caller import User, resource_id
from xds.security.texts import UnacceptableText
from xds.soap.assertions import INVALID_SECURITY_TOKEN, SAML, AssertionRefused, Verified, text_of

Values = Sequence[etree._Element]

_XSPA: Final = "urn:oasis:names:tc:xspa:1.0:subject:"
_HOME_COMMUNITY_ID: Final = "urn:ihe:iti:xca:2010:homeCommunityId"
_NPI: Final = f"{_XSPA}npi"
_PROVIDER_IDENTIFIER: Final = "urn:ihe:iti:xua:2017:subject:provider-identifier"
_ORGANIZATION_ID: Final = f"{_XSPA}organization-id"


def user_of(verified: Verified, systems: Systems) -> User:
    """Return the user of a verified assertion; AssertionRefused where it names none.

    The coding schemes of roles and purposes are canonical ones of ``systems``.
    """
    signed = verified.signed
    subjects = signed.findall(f"{SAML}Subject")
    if len(subjects) != 1:
        raise AssertionRefused(INVALID_SECURITY_TOKEN, "there is not one Subject")
    values = _values(signed)
    told = {name: read(values.get(attribute, ())) for name, attribute, read in _READ}
    told |= {name: _codes(values.get(one, ()), systems) for name, one in _CODED}
    providers = (*_identifiers(values.get(_PROVIDER_IDENTIFIER, ())), *_texts(values.get(_NPI, ())))
    try:
        return User(
            name_id=text_of(subjects[0], "NameID"),
            issuer=verified.issuer,
            alias=(subjects[0].find(f"{SAML}NameID").get("SPProvidedID") or "").strip(),
            assertion_id=signed.get("ID"),
            provider_identifiers=tuple(dict.fromkeys(providers)),
            **told,
        )
    except UnacceptableText as error:
        said = f"an attribute of the assertion is not acceptable: {error}"
        raise AssertionRefused(INVALID_SECURITY_TOKEN, said) from None


def _values(signed: etree._Element) -> Mapping[str, Values]:
    """Return the values of each attribute, wherever it stands."""
    found: dict[str, list[etree._Element]] = {}
    for attribute in signed.iterfind(f"{SAML}AttributeStatement/{SAML}Attribute"):
        name = (attribute.get("Name") or "").strip()
        found.setdefault(name, []).extend(attribute.iterfind(f"{SAML}AttributeValue"))
    return found


def _texts(values: Iterable[etree._Element]) -> tuple[str, ...]:
    texts = (" ".join("".join(one.itertext()).split()) for one in values)
    return tuple(dict.fromkeys(text for text in texts if text))


def _first(values: Iterable[etree._Element]) -> str:
    return next(iter(_texts(values)), "")


def _carrier(value: etree._Element, attribute: str) -> etree._Element | None:
    """Return the element of HL7 with an attribute: within the value, or the value itself."""
    return next((one for one in value.iter() if one.get(attribute)), None)


def _codes(values: Iterable[etree._Element], systems: Systems) -> tuple[Code, ...]:
    """Read coded values, of xsi:type CE; a plain text is a code without a system."""
    read = (_code(one, systems) for one in values)
    return tuple(dict.fromkeys(one for one in read if one.code))


def _code(value: etree._Element, systems: Systems) -> Code:
    carrier = _carrier(value, "code")
    if carrier is None:
        return Code(_first([value]), "")
    system = systems.canonical((carrier.get("codeSystem") or "").strip())
    return Code(carrier.get("code").strip(), system, carrier.get("displayName") or "")


def _identifiers(values: Iterable[etree._Element]) -> tuple[str, ...]:
    """Read identifiers, of xsi:type II, or as the text that HL7 v2 has for them."""
    return tuple(dict.fromkeys(one for one in map(_identifier, values) if one))


def _identifier(value: etree._Element) -> str:
    carrier = _carrier(value, "root")
    if carrier is None:
        return resource_id(_first([value]))
    root, extension = carrier.get("root").strip(), (carrier.get("extension") or "").strip()
    return resource_id(f"{extension}^^^&{root}&ISO") if extension else root


_READ: Final[Sequence[tuple[str, str, Callable[[Values], Any]]]] = (
    ("subject_id", f"{_XSPA}subject-id", _first),
    ("organization", f"{_XSPA}organization", _first),
    ("organization_id", _ORGANIZATION_ID, _first),
    ("organization_ids", _ORGANIZATION_ID, _texts),
    ("home_community_id", _HOME_COMMUNITY_ID, _first),
    ("resource_ids", "urn:oasis:names:tc:xacml:2.0:resource:resource-id", _identifiers),
    ("consent_documents", "urn:ihe:iti:bppc:2007:docid", _texts),
    ("access_policies", "urn:ihe:iti:xua:2012:acp", _texts),
)
"""Fields of User, the attributes that they are from, and how those are read."""

_CODED: Final = (
    ("roles", "urn:oasis:names:tc:xacml:2.0:subject:role"),
    ("purposes_of_use", f"{_XSPA}purposeofuse"),
)
"""The same of coded values."""
