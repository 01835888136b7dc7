"""Who vouches for users in tests: keys, certificates, and assertions that xmlsec signs.

The assertions are made by the letter of the facts, and signed by the library of libxmlsec1, which
shares no code with the server.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID
from lxml import etree

# its types leave out most of it
xmlsec: Final[Any] = import_module("xmlsec")

AUDIENCE: Final = "https://share.example"
ISSUER: Final = "https://idp.example"
CHAINED_ISSUER: Final = "CN=identity provider,O=Example Trust"
TOKEN_ISSUER: Final = "https://authorisation.example"
HOSTED_ISSUER: Final = "https://hosted.example"
"""Its keys are behind a URL."""

SAML: Final = "urn:oasis:names:tc:SAML:2.0:assertion"
WSSE: Final = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
WSU: Final = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"
DS: Final = "http://www.w3.org/2000/09/xmldsig#"
BEARER: Final = "urn:oasis:names:tc:SAML:2.0:cm:bearer"
HOLDER_OF_KEY: Final = "urn:oasis:names:tc:SAML:2.0:cm:holder-of-key"


# --- keys ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Signer:
    """A key with its certificate."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate
    shown: tuple[x509.Certificate, ...] = ()
    """More certificates that its signatures show, of those between it and the authority."""

    @property
    def key_pem(self) -> bytes:
        """The key in PEM."""
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    @property
    def pem(self) -> bytes:
        """The certificate in PEM."""
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def der(self) -> bytes:
        """The certificate in DER."""
        return self.certificate.public_bytes(Encoding.DER)


def signer(
    name: str, by: Signer | None = None, *, days: int = 30, is_authority: bool = False
) -> Signer:
    """Make a key and its certificate, by an authority or by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Example Trust"),
            x509.NameAttribute(NameOID.COMMON_NAME, name),
        ]
    )
    now = datetime.now(UTC)
    begin = now - timedelta(days=60 if days < 0 else 1)
    usage = x509.KeyUsage(
        not is_authority, False, False, False, False, is_authority, is_authority, False, False
    )
    issuer_key = by.key if by else key
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(by.certificate.subject if by else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.BasicConstraints(is_authority, None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()),
            critical=False,
        )
    )
    return Signer(key, builder.sign(issuer_key, hashes.SHA256()))


@dataclass(frozen=True, slots=True)
class Vouching:
    """Issuers that a server trusts, as files, and some that it does not."""

    idp: Signer
    authority: Signer
    chained: Signer
    """Its certificate is by an authority between."""
    other_of_authority: Signer
    """Of the same authority, and not one of the issuer's subjects."""
    expired: Signer
    stranger: Signer
    token_key: rsa.RSAPrivateKey
    ec_token_key: ec.EllipticCurvePrivateKey

    def write(self, folder: Path, keys_url: str | None = None) -> Path:
        """Write what ``user_issuers`` names, and return that file."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "idp.pem").write_bytes(self.idp.pem + self.expired.pem)
        (folder / "ca.pem").write_bytes(self.authority.pem)
        (folder / "jwks.json").write_text(json.dumps({"keys": self.jwks()}))
        file = folder / "issuers.toml"
        file.write_text(
            f'[assertions."{ISSUER}"]\ncertificates = "idp.pem"\n'
            f'[assertions."{CHAINED_ISSUER}"]\nauthorities = "ca.pem"\n'
            'subjects = ["CN=identity provider,O=Example Trust"]\n'
            f'[tokens."{TOKEN_ISSUER}"]\nkeys = "jwks.json"\n'
            f'token_endpoint = "{TOKEN_ISSUER}/token"\n'
            + (f'[tokens."{HOSTED_ISSUER}"]\nkeys = "{keys_url}"\n' if keys_url else "")
        )
        return file

    def jwks(self) -> list[dict[str, Any]]:
        """Return the public keys of the tokens' issuer."""
        rsa_key = jwt.algorithms.RSAAlgorithm.to_jwk(self.token_key.public_key(), as_dict=True)
        ec_key = jwt.algorithms.ECAlgorithm.to_jwk(self.ec_token_key.public_key(), as_dict=True)
        return [
            {**rsa_key, "kid": "rsa", "use": "sig"},
            {**ec_key, "kid": "ec", "alg": "ES256"},
        ]

    def options(self, folder: Path, keys_url: str | None = None, **others: str) -> dict[str, str]:
        """Return the options of a server that demands users."""
        return {
            "user_assertions": "required",
            "user_issuers": str(self.write(folder, keys_url)),
            "user_audiences": f"{AUDIENCE} {AUDIENCE}/registry",
            **others,
        }


@cache
def vouching() -> Vouching:
    """Make the issuers, once a session."""
    authority = signer("authority", is_authority=True)
    between = signer("authority between", authority, is_authority=True)
    chained = signer("identity provider", between)
    other = signer("web server", between)
    return Vouching(
        idp=signer("idp"),
        authority=authority,
        chained=Signer(chained.key, chained.certificate, (between.certificate,)),
        other_of_authority=Signer(other.key, other.certificate, (between.certificate,)),
        expired=signer("expired", days=-1),
        stranger=signer("idp"),
        token_key=rsa.generate_private_key(65537, 2048),
        ec_token_key=ec.generate_private_key(ec.SECP256R1()),
    )


# --- assertions ----------------------------------------------------------------------------------


def instant(seconds: float = 0) -> str:
    """Return a time so many seconds from now, as xs:dateTime."""
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")


def attribute(name: str, *values: str) -> str:
    """Return an attribute with its values as XML text."""
    told = "".join(f"<saml2:AttributeValue>{value}</saml2:AttributeValue>" for value in values)
    return f'<saml2:Attribute Name="{name}">{told}</saml2:Attribute>'


def coded(element: str, code: str, system: str, display: str) -> str:
    """Return a coded value of HL7 V3."""
    return (
        f'<{element} xmlns="urn:hl7-org:v3" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
        f'xsi:type="CE" code="{code}" codeSystem="{system}" displayName="{display}"/>'
    )


ATTRIBUTES: Final = (
    "<saml2:AttributeStatement>"
    + attribute("urn:oasis:names:tc:xspa:1.0:subject:subject-id", "Dr. Jo Smith")
    + attribute("urn:oasis:names:tc:xspa:1.0:subject:organization", "Example Trust")
    + attribute("urn:oasis:names:tc:xspa:1.0:subject:organization-id", "urn:oid:2.999.7.1")
    + attribute("urn:ihe:iti:xca:2010:homeCommunityId", "urn:oid:2.999.8")
    + attribute("urn:oasis:names:tc:xspa:1.0:subject:npi", "1234567")
    + attribute(
        "urn:ihe:iti:xua:2017:subject:provider-identifier",
        '<id xmlns="urn:hl7-org:v3" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
        'xsi:type="II" root="2.999.9" extension="G42"/>',
    )
    + attribute(
        "urn:oasis:names:tc:xacml:2.0:subject:role",
        coded("Role", "doctor", "2.999.10", "Doctor"),
        coded("Role", "researcher", "2.999.10", "Researcher"),
    )
    + "</saml2:AttributeStatement><saml2:AttributeStatement>"
    + attribute(
        "urn:oasis:names:tc:xacml:2.0:subject:role", coded("Role", "nurse", "2.999.10", "Nurse")
    )
    + attribute("urn:oasis:names:tc:xspa:1.0:subject:organization-id", "urn:oid:2.999.7.2")
    + attribute(
        "urn:oasis:names:tc:xspa:1.0:subject:purposeofuse",
        coded("PurposeOfUse", "TREATMENT", "2.16.840.1.113883.3.18.7.1", "Treatment"),
    )
    + attribute("urn:oasis:names:tc:xacml:2.0:resource:resource-id", "P1^^^&amp;2.999.1.1&amp;ISO")
    + attribute("urn:ihe:iti:bppc:2007:docid", "urn:oid:2.999.11.1")
    + attribute("urn:ihe:iti:xua:2012:acp", "urn:oid:2.999.11.2")
    + "</saml2:AttributeStatement>"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asserted:
    """What an assertion says; changed by ``dataclasses.replace``."""

    issuer: str = ISSUER
    name_id: str = "jo@example"
    identifier: str = field(default_factory=lambda: f"_{uuid4().hex}")
    version: str = "2.0"
    begin: float = -5
    end: float = 300
    audiences: tuple[str, ...] = (AUDIENCE,)
    confirmation: str = f'<saml2:SubjectConfirmation Method="{BEARER}"/>'
    more_conditions: str = ""
    attributes: str = ATTRIBUTES

    def xml(self) -> str:
        """Return the assertion without a signature."""
        audiences = "".join(f"<saml2:Audience>{one}</saml2:Audience>" for one in self.audiences)
        restriction = f"<saml2:AudienceRestriction>{audiences}</saml2:AudienceRestriction>"
        return (
            f'<saml2:Assertion xmlns:saml2="{SAML}" ID="{self.identifier}" '
            f'IssueInstant="{instant()}" Version="{self.version}">'
            f"<saml2:Issuer>{self.issuer}</saml2:Issuer>"
            f'<saml2:Subject><saml2:NameID SPProvidedID="js">{self.name_id}</saml2:NameID>'
            f"{self.confirmation}</saml2:Subject>"
            f'<saml2:Conditions NotBefore="{instant(self.begin)}" '
            f'NotOnOrAfter="{instant(self.end)}">{restriction if audiences else ""}'
            f"{self.more_conditions}</saml2:Conditions>"
            f'<saml2:AuthnStatement AuthnInstant="{instant()}"><saml2:AuthnContext>'
            "<saml2:AuthnContextClassRef>urn:oasis:names:tc:SAML:2.0:ac:classes:X509"
            "</saml2:AuthnContextClassRef></saml2:AuthnContext></saml2:AuthnStatement>"
            f"{self.attributes}</saml2:Assertion>"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Signing:
    """How an assertion is signed."""

    method: Any = xmlsec.Transform.ECDSA_SHA256
    digest: Any = xmlsec.Transform.SHA256
    canonicalisation: Any = xmlsec.Transform.EXCL_C14N
    transforms: tuple[Any, ...] = (xmlsec.Transform.ENVELOPED, xmlsec.Transform.EXCL_C14N)
    with_certificate: bool = True


SIGNING: Final = Signing()


def signed(
    asserted: Asserted | str, by: Signer | None = None, how: Signing = SIGNING
) -> etree._Element:
    """Return a signed assertion; the signature stands after the Issuer (SAML core, 2.3.3)."""
    by = by or vouching().idp
    text = asserted if isinstance(asserted, str) else asserted.xml()
    root = etree.fromstring(text.encode())
    signature = xmlsec.template.create(root, how.canonicalisation, how.method, ns="ds")
    root.insert(1, signature)
    uri = f"#{root.get('ID')}"
    reference = xmlsec.template.add_reference(signature, how.digest, uri=uri)
    for transform in how.transforms:
        xmlsec.template.add_transform(reference, transform)
    if how.with_certificate:
        data = xmlsec.template.add_x509_data(xmlsec.template.ensure_key_info(signature))
        xmlsec.template.x509_data_add_certificate(data)
    xmlsec.tree.add_ids(root, ["ID"])
    context = xmlsec.SignatureContext()
    context.key = xmlsec.Key.from_memory(by.key_pem, xmlsec.KeyFormat.PEM, None)
    if how.with_certificate:
        context.key.load_cert_from_memory(by.pem, xmlsec.KeyFormat.PEM)
        for one in by.shown:
            pem = one.public_bytes(Encoding.PEM)
            context.key.load_cert_from_memory(pem, xmlsec.KeyFormat.PEM)
    context.sign(signature)
    return root


def as_text(element: etree._Element) -> str:
    """Return an element as XML text."""
    text: str = etree.tostring(element, encoding="unicode", with_tail=False)
    return text


def security(*tokens: etree._Element | str, mandatory: bool = True, more: str = "") -> str:
    """Return the header wsse:Security with these tokens in it."""
    told = "".join(one if isinstance(one, str) else as_text(one) for one in tokens)
    must = ' s:mustUnderstand="true"' if mandatory else ""
    return f'<wsse:Security xmlns:wsse="{WSSE}"{must}{more}>{told}</wsse:Security>'


# --- tokens --------------------------------------------------------------------------------------


def claims(**others: Any) -> dict[str, Any]:
    """Return the claims of a good token; one of None is left out."""
    now = int(datetime.now(UTC).timestamp())
    told = {
        "iss": TOKEN_ISSUER,
        "sub": "jo",
        "aud": AUDIENCE,
        "exp": now + 300,
        "nbf": now - 5,
        "iat": now - 5,
        "jti": uuid4().hex,
        "scope": "ITI-65 ITI-66 ITI-67 ITI-68 ITI-78 ITI-105 ITI-106",
        "extensions": {"ihe_iua": IUA, "ihe_bppc": BPPC},
    }
    return {name: value for name, value in {**told, **others}.items() if value is not None}


IUA: Final[Mapping[str, Any]] = {
    "subject_name": "Dr. Jo Smith",
    "subject_organization": "Example Trust",
    "subject_organization_id": "urn:oid:2.999.7.1",
    "subject_role": [{"system": "urn:oid:2.999.10", "code": "doctor", "display": "Doctor"}],
    "purpose_of_use": [{"system": "urn:oid:2.16.840.1.113883.3.18.7.1", "code": "TREATMENT"}],
    "home_community_id": "urn:oid:2.999.8",
    "national_provider_identifier": "1234567",
    "person_id": "P1^^^&2.999.1.1&ISO",
}
BPPC: Final[Mapping[str, Any]] = {"doc_id": "urn:oid:2.999.11.1", "acp": ["urn:oid:2.999.11.2"]}


def token(
    told: Mapping[str, Any] | None = None,
    key: Any = None,
    algorithm: str = "RS256",
    headers: Mapping[str, Any] | None = None,
) -> str:
    """Return a signed token."""
    key = key if key is not None else vouching().token_key
    told = dict(claims() if told is None else told)
    stated = {"kid": "rsa", "typ": "at+jwt", **(headers or {})}
    given = {name: value for name, value in stated.items() if value is not None}
    return jwt.encode(told, key, algorithm, given)
