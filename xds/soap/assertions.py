"""SAML 2.0 assertions: from an element of a message to what is proven of it (ITI TF-2 3.40.4.1.2).

The element is taken out of its message and verified alone; what is read afterwards is what its
signature was computed over, parsed anew. So nothing that stands round it, or in it beside what is
signed, is ever looked at, however it is wrapped. The cryptography is signxml's.
"""

import logging
import threading
from base64 import b64decode
from binascii import Error as NotBase64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from cryptography import x509
from lxml import etree
from signxml.algorithms import DigestAlgorithm, SignatureMethod
from signxml.exceptions import SignXMLException
from signxml.verifier import SignatureConfiguration, XMLVerifier

from xds import parsing
from xds.metadata import vocabulary as v
from xds.parsing import MalformedXML, parse
from xds.security.errors import AuthenticationFailed
from xds.security.issuers import AssertionIssuer
from xds.wire.faults import quotable

UNSUPPORTED_SECURITY_TOKEN: Final = "wsse:UnsupportedSecurityToken"
"""The subcodes of WS-Security (SOAP Message Security 1.1, 12)."""
UNSUPPORTED_ALGORITHM: Final = "wsse:UnsupportedAlgorithm"
INVALID_SECURITY: Final = "wsse:InvalidSecurity"
INVALID_SECURITY_TOKEN: Final = "wsse:InvalidSecurityToken"
FAILED_AUTHENTICATION: Final = "wsse:FailedAuthentication"
FAILED_CHECK: Final = "wsse:FailedCheck"

SAML: Final = f"{{{v.NS_SAML2}}}"
DS: Final = f"{{{v.NS_XMLDSIG}}}"

_EXCLUSIVE: Final = "http://www.w3.org/2001/10/xml-exc-c14n#"
_ENVELOPED: Final = "http://www.w3.org/2000/09/xmldsig#enveloped-signature"
_SIGNATURES: Final = frozenset(
    {
        SignatureMethod.RSA_SHA256,
        SignatureMethod.RSA_SHA384,
        SignatureMethod.RSA_SHA512,
        SignatureMethod.SHA256_RSA_MGF1,
        SignatureMethod.SHA384_RSA_MGF1,
        SignatureMethod.SHA512_RSA_MGF1,
        SignatureMethod.ECDSA_SHA256,
        SignatureMethod.ECDSA_SHA384,
        SignatureMethod.ECDSA_SHA512,
    }
)
_DIGESTS: Final = frozenset(
    {DigestAlgorithm.SHA256, DigestAlgorithm.SHA384, DigestAlgorithm.SHA512}
)
_ALLOWED: Final[Mapping[str, frozenset[str]]] = {
    "CanonicalizationMethod": frozenset({_EXCLUSIVE}),
    "SignatureMethod": frozenset(one.value for one in _SIGNATURES),
    "DigestMethod": frozenset(one.value for one in _DIGESTS),
    "Transform": frozenset({_ENVELOPED, _EXCLUSIVE}),
}
_CONFIGURATION: Final = SignatureConfiguration(
    location="./",
    signature_methods=_SIGNATURES,
    digest_algorithms=_DIGESTS,
    # which certificate counts is settled before
    ignore_ambiguous_key_info=True,
)
IDS: Final = ("ID", "Id", "id", f"{{{v.NS_XML}}}id", f"{{{v.NS_WSU}}}Id")
_MOST_BYTES: Final = 256 * 1024
_MOST_CERTIFICATES: Final = 8
_NO_CERTIFICATE: Final = "a certificate cannot be read"

# at the level of debug it logs what is signed
logging.getLogger("signxml").setLevel(logging.WARNING)


class AssertionRefused(AuthenticationFailed):
    """An assertion does not count: ``subcode`` is for the sender, the text for the log alone.

    ``told`` is a sentence for the sender, where it may be told more than the kind of failure.
    """

    def __init__(self, subcode: str, reason: str, told: str | None = None) -> None:
        super().__init__(reason)
        self.subcode = subcode
        self.told = told


@dataclass(frozen=True, slots=True)
class Verified:
    """What an issuer has signed."""

    issuer: str
    signed: etree._Element
    """The assertion without its signature."""


def serialised(element: etree._Element) -> bytes:
    """Return an assertion alone, with the namespaces that it is in; refused if it is too large."""
    data: bytes = etree.tostring(element, with_tail=False)
    if len(data) > _MOST_BYTES:
        raise AssertionRefused(INVALID_SECURITY_TOKEN, "the assertion is larger than 256 KiB")
    return data


def verify(data: bytes, issuers: Mapping[str, AssertionIssuer]) -> Verified:
    """Verify the one signature of a serialised assertion; AssertionRefused where it does not hold.

    Who issued it, and whether its certificate is trusted now, is part of that. Conditions are not.
    """
    root = _parsed(data)
    if root.get("Version") != "2.0":
        raise AssertionRefused(INVALID_SECURITY_TOKEN, "the assertion is not of version 2.0")
    signature = _signature_of(root)
    issuer = issuers.get(text_of(root, "Issuer"))
    if issuer is None:
        raise AssertionRefused(FAILED_AUTHENTICATION, "the issuer is not in user_issuers")
    signers = issuer.signers(_certificates(signature), datetime.now(UTC))
    if not signers:
        raise AssertionRefused(
            FAILED_AUTHENTICATION,
            "the certificate is not one that the issuer may sign by, or not now",
        )
    signed = _parsed(_signed_data(root, signers))
    if signed.tag != root.tag or signed.get("ID") != root.get("ID"):
        raise AssertionRefused(FAILED_CHECK, "what is signed is not the assertion")
    return Verified(text_of(signed, "Issuer"), signed)


def _parsed(data: bytes) -> etree._Element:
    try:
        return parse(data)
    except MalformedXML as error:
        raise AssertionRefused(INVALID_SECURITY_TOKEN, "the assertion cannot be read") from error


def text_of(parent: etree._Element, name: str) -> str:
    """Return the text of the one child of this name, all of it; refused where there is no such."""
    found = parent.findall(f"{SAML}{name}")
    if len(found) != 1 or len(found[0]) or not (found[0].text or "").strip():
        raise AssertionRefused(INVALID_SECURITY_TOKEN, f"there is not one {name} of plain text")
    text: str = found[0].text.strip()
    return text


# --- the signature -------------------------------------------------------------------------------


def _signature_of(root: etree._Element) -> etree._Element:
    """Return the signature, which has to be the only one, over the whole assertion."""
    found = root.findall(f"{DS}Signature")
    if not found:
        raise AssertionRefused(INVALID_SECURITY_TOKEN, "the assertion is not signed")
    if len(found) > 1 or len(list(root.iter(f"{DS}Signature"))) > 1:
        raise AssertionRefused(INVALID_SECURITY, "there is more than one signature")
    identifiers = [one.get(name) for one in root.iter(etree.Element) for name in IDS]
    stated = [one for one in identifiers if one is not None]
    if not root.get("ID") or len(stated) != len(set(stated)):
        raise AssertionRefused(INVALID_SECURITY, "an ID is missing, or stands there twice")
    _check_form(found[0], f"#{root.get('ID')}")
    return found[0]


def _check_form(signature: etree._Element, uri: str) -> None:
    """Let only the algorithms of the list pass, and one reference to the whole assertion."""
    references = signature.findall(f"{DS}SignedInfo/{DS}Reference")
    everywhere = list(signature.iter(f"{DS}Reference", f"{DS}Object", f"{DS}Manifest"))
    if len(references) != 1 or everywhere != references or references[0].get("URI") != uri:
        raise AssertionRefused(
            INVALID_SECURITY, "the signature is not over the assertion, or not only"
        )
    for name, allowed in _ALLOWED.items():
        stated = [one.get("Algorithm") for one in signature.iter(f"{DS}{name}")]
        if not stated or not allowed.issuperset(stated):
            refused = [one or "" for one in stated if one not in allowed]
            raise _not_accepted(name, refused, sorted(allowed))
    transforms = [one.get("Algorithm") for one in references[0].iter(f"{DS}Transform")]
    if transforms != [_ENVELOPED, _EXCLUSIVE]:
        raise _not_accepted("Transforms", transforms, [_ENVELOPED, _EXCLUSIVE])


def _not_accepted(
    name: str, stated: Sequence[str | None], accepted: Sequence[str]
) -> AssertionRefused:
    """Return the refusal of algorithms, for sender and log alike: they say nothing of anyone."""
    given = quotable(" ".join(filter(None, stated))) or "that is missing"
    reason = f"the {name} {given} is not accepted; accepted is {', '.join(accepted)}"
    told = f"The assertion is signed in a way that is not accepted: {reason}."
    return AssertionRefused(UNSUPPORTED_ALGORITHM, reason, told)


def certificates_in(parent: etree._Element) -> Sequence[bytes]:
    """Return the certificates in the KeyInfo of an element, DER, in their order."""
    found = parent.findall(f"{DS}KeyInfo/{DS}X509Data/{DS}X509Certificate")
    if len(found) > _MOST_CERTIFICATES:
        raise AssertionRefused(INVALID_SECURITY_TOKEN, "there are too many certificates")
    try:
        return [b64decode(one.text or "") for one in found]
    except NotBase64:
        raise AssertionRefused(INVALID_SECURITY_TOKEN, _NO_CERTIFICATE) from None


def _certificates(signature: etree._Element) -> Sequence[x509.Certificate]:
    try:
        return [x509.load_der_x509_certificate(one) for one in certificates_in(signature)]
    except ValueError:
        raise AssertionRefused(INVALID_SECURITY_TOKEN, _NO_CERTIFICATE) from None


def _signed_data(root: etree._Element, signers: Sequence[x509.Certificate]) -> bytes:
    """Return the bytes that one of the certificates proves to be signed.

    A thread of its own parses what nobody has proven yet: lxml keeps the names of a thread's
    documents for as long as the thread lives.
    """
    found: list[bytes] = []
    thread = threading.Thread(target=lambda: found.extend(_proven(root, signers)), name="saml")
    thread.start()
    thread.join()
    for data in found:
        return data
    raise AssertionRefused(FAILED_CHECK, "the signature does not hold")


def _proven(root: etree._Element, signers: Sequence[x509.Certificate]) -> Iterator[bytes]:
    for signer in signers:
        try:
            result = XMLVerifier().verify(
                root,
                x509_cert=signer,
                expect_config=_CONFIGURATION,
                parser=parsing.hardened(),
                id_attribute="ID",
            )
        except (SignXMLException, etree.LxmlError, ValueError, TypeError):
            # by whatever name the library says so: it does not hold
            continue
        if not isinstance(result, list):
            yield result.signed_data
