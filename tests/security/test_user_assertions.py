"""XUA through the wire: assertions that xmlsec has signed, and every way in which one fails."""

import json
from base64 import b64encode
from collections.abc import Callable
from copy import deepcopy
from typing import Any, Final

import pytest
from lxml import etree

from tests.serving import Server
from tests.soap.messages import (
    ITI18,
    ITI41,
    ITI42,
    ITI43,
    SIMPLE,
    Transaction,
    new_case,
    with_header,
)
from tests.soap.wire import SUCCESS, Answer, Fault, post
from tests.vouching import (
    AUDIENCE,
    BEARER,
    CHAINED_ISSUER,
    DS,
    HOLDER_OF_KEY,
    SAML,
    WSSE,
    WSU,
    Asserted,
    Signing,
    as_text,
    instant,
    security,
    signed,
    vouching,
    xmlsec,
)

Header = Callable[[], str]

INVALID_SECURITY: Final = "wsse:InvalidSecurity"
INVALID_TOKEN: Final = "wsse:InvalidSecurityToken"
UNSUPPORTED_TOKEN: Final = "wsse:UnsupportedSecurityToken"
UNSUPPORTED_ALGORITHM: Final = "wsse:UnsupportedAlgorithm"
FAILED_CHECK: Final = "wsse:FailedCheck"
FAILED_AUTHENTICATION: Final = "wsse:FailedAuthentication"


def find(server: Server, header: str) -> Answer:
    """Send ITI-18 with a header."""
    return post(server, ITI18, with_header(new_case().find(), header))


def refusal(server: Server, header: str, transaction: Transaction = ITI18) -> Fault:
    """Send a message that has to be refused, and return the fault."""
    case = new_case()
    messages = {ITI18: case.find, ITI41: case.provide, ITI43: case.retrieve}
    message = messages[transaction]()
    answer = post(server, transaction, with_header(message, header) if header else message)
    assert answer.raw.status == 500
    assert answer.fault.code == "s:Sender"
    return answer.fault


def confirmation(method: str, inner: str = "", **stated: str) -> str:
    attributes = "".join(f' {name}="{value}"' for name, value in stated.items())
    return (
        f'<saml2:SubjectConfirmation Method="{method}">'
        f"<saml2:SubjectConfirmationData{attributes}>{inner}</saml2:SubjectConfirmationData>"
        "</saml2:SubjectConfirmation>"
    )


# --- what is accepted ----------------------------------------------------------------------------


def test_an_assertion_signed_by_xmlsec_is_accepted(guarded: Server) -> None:
    assert find(guarded, security(signed(Asserted()))).status == SUCCESS


def test_one_assertion_serves_many_requests(guarded: Server) -> None:
    header = security(signed(Asserted()))
    assert [find(guarded, header).status for _ in range(4)] == [SUCCESS] * 4


ACCEPTED: Final[dict[str, Header]] = {
    "a certificate that chains to the issuer's authority": lambda: security(
        signed(Asserted(issuer=CHAINED_ISSUER), vouching().chained)
    ),
    "no certificate in it, but one of the issuer's": lambda: security(
        signed(Asserted(), how=Signing(with_certificate=False))
    ),
    "SHA-512": lambda: security(
        signed(
            Asserted(),
            how=Signing(method=xmlsec.Transform.ECDSA_SHA512, digest=xmlsec.Transform.SHA512),
        )
    ),
    "a header that need not be understood": lambda: security(signed(Asserted()), mandatory=False),
    "expired within the skew of the clocks": lambda: security(signed(Asserted(end=-30))),
    "one of several audiences": lambda: security(
        signed(Asserted(audiences=("https://elsewhere.example", f"{AUDIENCE}/registry")))
    ),
    "a recipient that is meant": lambda: security(
        signed(Asserted(confirmation=confirmation(BEARER, Recipient=AUDIENCE)))
    ),
    "one of several confirmations": lambda: security(
        signed(
            Asserted(
                confirmation=confirmation("urn:oasis:names:tc:SAML:2.0:cm:sender-vouches")
                + confirmation(BEARER, NotOnOrAfter=instant(60))
            )
        )
    ),
    "a timestamp beside it": lambda: security(
        f'<wsu:Timestamp xmlns:wsu="{WSU}"><wsu:Created>{instant()}</wsu:Created>'
        f"<wsu:Expires>{instant(300)}</wsu:Expires></wsu:Timestamp>",
        signed(Asserted()),
    ),
    "a header for another node beside it": lambda: (
        security(signed(Asserted()))
        + security(mandatory=True, more=' s:role="urn:example:gateway"')
    ),
    "a user name beside it": lambda: security(
        f'<wsse:UsernameToken xmlns:wsse="{WSSE}"><wsse:Username>other</wsse:Username>'
        "</wsse:UsernameToken>",
        signed(Asserted()),
    ),
    "a proxy restriction": lambda: security(
        signed(Asserted(more_conditions='<saml2:ProxyRestriction Count="1"/>'))
    ),
}


@pytest.mark.parametrize("header", ACCEPTED.values(), ids=ACCEPTED)
def test_accepted(guarded: Server, header: Header) -> None:
    assert find(guarded, header()).status == SUCCESS


# --- what is refused -----------------------------------------------------------------------------


def tampered(old: str, new: str, asserted: Asserted | None = None) -> str:
    """Return a header whose assertion was changed after it was signed."""
    text = as_text(signed(asserted or Asserted()))
    assert text.count(old) >= 1
    return security(text.replace(old, new))


def signed_with(**how: Any) -> str:
    return security(signed(Asserted(), how=Signing(**how)))


def with_duplicate_id() -> str:
    token = signed(Asserted())
    beside = f'<x:Other xmlns:x="urn:example:x" ID="{token.get("ID")}"/>'
    return security(token) + beside


def in_order(*names: str) -> tuple[Any, ...]:
    return tuple(getattr(xmlsec.Transform, name) for name in names)


REFUSED: Final[dict[str, tuple[str, Header]]] = {
    "a control character in a name": (
        INVALID_TOKEN,
        lambda: security(signed(Asserted(name_id="j\x9bo"))),
    ),
    "a name without end": (
        INVALID_TOKEN,
        lambda: security(signed(Asserted(name_id="jo" * 600))),
    ),
    "missing": (INVALID_SECURITY, lambda: ""),
    "an empty header": (INVALID_SECURITY, security),
    "two Security headers": (
        INVALID_SECURITY,
        lambda: security(signed(Asserted())) + security(signed(Asserted())),
    ),
    "two assertions": (
        INVALID_SECURITY,
        lambda: security(signed(Asserted()), signed(Asserted())),
    ),
    "an assertion outside of the Security header": (
        INVALID_SECURITY,
        lambda: as_text(signed(Asserted())),
    ),
    "a user name": (
        UNSUPPORTED_TOKEN,
        lambda: security(
            f'<wsse:UsernameToken xmlns:wsse="{WSSE}"><wsse:Username>jo</wsse:Username>'
            "</wsse:UsernameToken>"
        ),
    ),
    "a binary token alone": (
        UNSUPPORTED_TOKEN,
        lambda: security(
            f'<wsse:BinarySecurityToken xmlns:wsse="{WSSE}">AA==</wsse:BinarySecurityToken>'
        ),
    ),
    "an assertion of SAML 1.1": (
        UNSUPPORTED_TOKEN,
        lambda: security('<Assertion xmlns="urn:oasis:names:tc:SAML:1.0:assertion"/>'),
    ),
    "an encrypted assertion": (
        UNSUPPORTED_TOKEN,
        lambda: security(f'<EncryptedAssertion xmlns="{SAML}"/>'),
    ),
    "an expired timestamp": (
        "wsu:MessageExpired",
        lambda: security(
            f'<wsu:Timestamp xmlns:wsu="{WSU}"><wsu:Expires>{instant(-120)}</wsu:Expires>'
            "</wsu:Timestamp>",
            signed(Asserted()),
        ),
    ),
    "unsigned": (INVALID_TOKEN, lambda: security(Asserted().xml())),
    "another version": (INVALID_TOKEN, lambda: security(signed(Asserted(version="1.1")))),
    "no user": (INVALID_TOKEN, lambda: security(signed(Asserted(name_id="")))),
    "elements in the NameID": (
        INVALID_TOKEN,
        lambda: security(signed(Asserted(name_id="jo<b xmlns=''>admin</b>"))),
    ),
    "larger than 256 KiB": (
        INVALID_TOKEN,
        lambda: security(signed(Asserted(attributes=" " * 262_144))),
    ),
    "no conditions": (
        INVALID_TOKEN,
        lambda: security(signed(without(Asserted().xml(), "Conditions"))),
    ),
    "no end": (
        INVALID_TOKEN,
        lambda: security(signed(Asserted().xml().replace("NotOnOrAfter", "Other"))),
    ),
    "a time that is none": (
        INVALID_TOKEN,
        lambda: security(signed(Asserted().xml().replace('NotBefore="', 'NotBefore="soon '))),
    ),
    "tampered": (FAILED_CHECK, lambda: tampered("jo@example", "admin@example")),
    "tampered attributes": (FAILED_CHECK, lambda: tampered('code="nurse"', 'code="chief"')),
    "the certificate of the issuer on another's signature": (
        FAILED_CHECK,
        lambda: security(
            as_text(signed(Asserted(), vouching().stranger)).replace(
                certificate_text(vouching().stranger.der), certificate_text(vouching().idp.der)
            )
        ),
    ),
    "a signature that is no base64": (FAILED_CHECK, lambda: security(broken_signature())),
    "an untrusted key": (
        FAILED_AUTHENTICATION,
        lambda: security(signed(Asserted(), vouching().stranger)),
    ),
    "an expired certificate": (
        FAILED_AUTHENTICATION,
        lambda: security(signed(Asserted(), vouching().expired)),
    ),
    "a key of the authority that is not the issuer's": (
        FAILED_AUTHENTICATION,
        lambda: security(signed(Asserted(issuer=CHAINED_ISSUER), vouching().other_of_authority)),
    ),
    "a key of another issuer": (
        FAILED_AUTHENTICATION,
        lambda: security(signed(Asserted(issuer=CHAINED_ISSUER), vouching().idp)),
    ),
    "an unknown issuer": (
        FAILED_AUTHENTICATION,
        lambda: security(signed(Asserted(issuer="https://other.example"))),
    ),
    "expired": (FAILED_AUTHENTICATION, lambda: security(signed(Asserted(end=-120)))),
    "not yet valid": (FAILED_AUTHENTICATION, lambda: security(signed(Asserted(begin=120)))),
    "an ended session": (
        FAILED_AUTHENTICATION,
        lambda: security(
            signed(
                Asserted()
                .xml()
                .replace("AuthnInstant", f'SessionNotOnOrAfter="{instant(-120)}" AuthnInstant')
            )
        ),
    ),
    "a wrong audience": (
        FAILED_AUTHENTICATION,
        lambda: security(signed(Asserted(audiences=("https://other.example",)))),
    ),
    "no audience": (FAILED_AUTHENTICATION, lambda: security(signed(Asserted(audiences=())))),
    "a second restriction to another audience": (
        FAILED_AUTHENTICATION,
        lambda: security(
            signed(
                Asserted(
                    more_conditions="<saml2:AudienceRestriction><saml2:Audience>urn:x"
                    "</saml2:Audience></saml2:AudienceRestriction>"
                )
            )
        ),
    ),
    "a condition that nobody understands": (
        FAILED_AUTHENTICATION,
        lambda: security(
            signed(
                Asserted(
                    more_conditions='<saml2:Condition xmlns:xsi="http://www.w3.org/2001/'
                    'XMLSchema-instance" xmlns:x="urn:example:x" xsi:type="x:FullMoon"/>'
                )
            )
        ),
    ),
    "no confirmation": (FAILED_AUTHENTICATION, lambda: security(signed(Asserted(confirmation="")))),
    "an unknown confirmation method": (
        FAILED_AUTHENTICATION,
        lambda: security(
            signed(
                Asserted(confirmation=confirmation("urn:oasis:names:tc:SAML:2.0:cm:sender-vouches"))
            )
        ),
    ),
    "an expired confirmation": (
        FAILED_AUTHENTICATION,
        lambda: security(
            signed(Asserted(confirmation=confirmation(BEARER, NotOnOrAfter=instant(-120))))
        ),
    ),
    "another recipient": (
        FAILED_AUTHENTICATION,
        lambda: security(
            signed(Asserted(confirmation=confirmation(BEARER, Recipient="https://other.example")))
        ),
    ),
    "a holder of key without a certificate of the node": (
        FAILED_AUTHENTICATION,
        lambda: security(signed(Asserted(confirmation=holder_of(vouching().stranger.der)))),
    ),
    "a signature by RSA and SHA-1": (
        UNSUPPORTED_ALGORITHM,
        lambda: with_algorithm("SignatureMethod", "http://www.w3.org/2000/09/xmldsig#rsa-sha1"),
    ),
    "a signature by HMAC with the certificate as its key": (
        UNSUPPORTED_ALGORITHM,
        lambda: with_algorithm(
            "SignatureMethod", "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256"
        ),
    ),
    "a digest by SHA-1": (
        UNSUPPORTED_ALGORITHM,
        lambda: signed_with(digest=xmlsec.Transform.SHA1),
    ),
    "inclusive canonicalisation": (
        UNSUPPORTED_ALGORITHM,
        lambda: signed_with(canonicalisation=xmlsec.Transform.C14N),
    ),
    "a transform by XPath": (
        UNSUPPORTED_ALGORITHM,
        lambda: with_algorithm("Transform", "http://www.w3.org/TR/1999/REC-xpath-19991116"),
    ),
    "no canonicalisation of what is signed": (
        UNSUPPORTED_ALGORITHM,
        lambda: signed_with(transforms=in_order("ENVELOPED")),
    ),
    "a signature that is not over the assertion": (
        INVALID_SECURITY,
        lambda: security(as_text(signed(Asserted())).replace('URI="#', 'URI="#other')),
    ),
    "a signature over the message": (
        INVALID_SECURITY,
        lambda: security(with_reference("")),
    ),
    "an ID twice within": (
        INVALID_SECURITY,
        lambda: security(signed(twice_identified())),
    ),
    "an ID twice in the header": (INVALID_SECURITY, with_duplicate_id),
}


def without(text: str, name: str) -> str:
    root = etree.fromstring(text)
    for one in root.findall(f"{{{SAML}}}{name}"):
        root.remove(one)
    return as_text(root)


def certificate_text(der: bytes) -> str:
    """Return a certificate as xmlsec writes it."""
    text = b64encode(der).decode()
    return "\n".join(text[start : start + 64] for start in range(0, len(text), 64))


def broken_signature() -> etree._Element:
    token = signed(Asserted())
    token.find(f".//{{{DS}}}SignatureValue").text = "*"
    return token


def with_algorithm(name: str, algorithm: str) -> str:
    token = signed(Asserted())
    token.find(f".//{{{DS}}}{name}").set("Algorithm", algorithm)
    return security(token)


def with_reference(uri: str) -> etree._Element:
    token = signed(Asserted())
    token.find(f".//{{{DS}}}Reference").set("URI", uri)
    return token


def twice_identified() -> str:
    asserted = Asserted()
    return asserted.xml().replace(
        "<saml2:AttributeStatement>",
        f'<saml2:AttributeStatement xmlns:wsu="{WSU}" wsu:Id="{asserted.identifier}">',
        1,
    )


def holder_of(der: bytes) -> str:
    return confirmation(
        HOLDER_OF_KEY,
        f'<ds:KeyInfo xmlns:ds="{DS}"><ds:X509Data><ds:X509Certificate>{b64encode(der).decode()}'
        "</ds:X509Certificate></ds:X509Data></ds:KeyInfo>",
    )


def test_a_holder_of_key_has_shown_its_certificate_to_the_proxy(guarded: Server) -> None:
    holder, other = vouching().stranger.der, vouching().idp.der
    message = with_header(
        new_case().find(), security(signed(Asserted(confirmation=holder_of(holder))))
    )
    shown = (f"ClientCertificate: :{b64encode(one).decode()}:" for one in (holder, other))
    accepted, refused = (post(guarded, ITI18, message, SIMPLE, one) for one in shown)
    assert accepted.status == SUCCESS
    assert refused.fault.subcodes == (FAILED_AUTHENTICATION,)


@pytest.mark.parametrize(("subcode", "header"), REFUSED.values(), ids=REFUSED)
def test_refused(guarded: Server, subcode: str, header: Header) -> None:
    fault = refusal(guarded, header())
    assert fault.subcodes == (subcode,)


# --- signature wrapping --------------------------------------------------------------------------
#
# The forms that Somorovsky and others have described for SAML, brought to where XUA has assertions.


def parts() -> tuple[etree._Element, etree._Element, etree._Element]:
    """Return a forged assertion, the signed one without its signature, and the signature."""
    original = signed(Asserted())
    forged = etree.fromstring(Asserted(name_id="admin@example").xml())
    bare = deepcopy(original)
    signature = bare.find(f"{{{DS}}}Signature")
    bare.remove(signature)
    return forged, bare, signature


def object_of(signature: etree._Element, inner: etree._Element) -> None:
    etree.SubElement(signature, f"{{{DS}}}Object").append(inner)


def wrapped_1() -> str:
    """The forged one has the signature, which holds the original."""
    forged, bare, signature = parts()
    signature.append(bare)
    forged.insert(1, signature)
    return security(forged)


def wrapped_2() -> str:
    """The signature, and with it the original, stand before the forged one."""
    forged, bare, signature = parts()
    object_of(signature, bare)
    return security(signature, forged)


def wrapped_3() -> str:
    """The forged one stands before the whole original."""
    forged, _, _ = parts()
    return security(forged, signed(Asserted()))


def wrapped_4() -> str:
    """The forged one holds the whole original."""
    forged, _, _ = parts()
    forged.append(signed(Asserted()))
    return security(forged)


def wrapped_5() -> str:
    """The forged one has the signature; the original stands after it."""
    forged, bare, signature = parts()
    forged.insert(1, signature)
    return security(forged, bare)


def wrapped_6() -> str:
    """The signature stands in the forged one, and the original is an object of the signature."""
    forged, bare, signature = parts()
    object_of(signature, bare)
    forged.append(signature)
    return security(forged)


def wrapped_7() -> str:
    """The original stands in an extension of the forged one, under the same ID."""
    forged, bare, signature = parts()
    forged.set("ID", bare.get("ID"))
    forged.insert(1, signature)
    etree.SubElement(forged, f"{{{SAML}}}Advice").append(bare)
    return security(forged)


def wrapped_8() -> str:
    """The forged one has the ID and the signature of the original, which is in the signature."""
    forged, bare, signature = parts()
    forged.set("ID", bare.get("ID"))
    object_of(signature, bare)
    forged.insert(1, signature)
    return security(forged)


def wrapped_beyond() -> str:
    """The forged one has the ID and the signature; the original stands in another header."""
    forged, bare, signature = parts()
    forged.set("ID", bare.get("ID"))
    forged.insert(1, signature)
    return security(forged) + as_text(bare)


def wrapped_without() -> str:
    """The forged one has the ID and the signature of an original that is nowhere."""
    forged, bare, signature = parts()
    forged.set("ID", bare.get("ID"))
    forged.insert(1, signature)
    return security(forged)


WRAPPED: Final[dict[Header, str]] = {
    wrapped_1: INVALID_SECURITY,
    wrapped_2: INVALID_TOKEN,
    wrapped_3: INVALID_SECURITY,
    wrapped_4: INVALID_TOKEN,
    wrapped_5: INVALID_SECURITY,
    wrapped_6: INVALID_SECURITY,
    wrapped_7: INVALID_SECURITY,
    wrapped_8: INVALID_SECURITY,
    wrapped_beyond: INVALID_SECURITY,
    wrapped_without: FAILED_CHECK,
}


@pytest.mark.parametrize(
    ("header", "subcode"), WRAPPED.items(), ids=[one.__name__ for one in WRAPPED]
)
def test_a_wrapped_signature_is_refused(guarded: Server, header: Header, subcode: str) -> None:
    assert refusal(guarded, header()).subcodes == (subcode,)


# --- uses, transactions, what is told ------------------------------------------------------------


def test_an_assertion_for_one_use_is_refused_when_it_comes_again_to_whichever_process(
    guarded: Server,
) -> None:
    header = security(signed(Asserted(more_conditions="<saml2:OneTimeUse/>")))
    assert find(guarded, header).status == SUCCESS
    for _ in range(6):
        assert refusal(guarded, header).subcodes == (FAILED_AUTHENTICATION,)


def test_a_transaction_may_be_left_out(guarded: Server) -> None:
    case = new_case()
    assert post(guarded, ITI42, case.register(b"text")).status == SUCCESS
    header = security(signed(Asserted()))
    answer = post(guarded, ITI42, with_header(new_case().register(b"text"), header))
    assert answer.status == SUCCESS


def test_where_users_are_optional_what_comes_is_verified(guarded: Server) -> None:
    assert post(guarded, ITI43, new_case().retrieve()).errors[0][0] == "XDSDocumentUniqueIdError"
    header = tampered("jo@example", "admin@example")
    assert refusal(guarded, header, ITI43).subcodes == (FAILED_CHECK,)


def test_nothing_of_a_submission_without_a_user_is_stored(guarded: Server) -> None:
    fault = refusal(guarded, "", ITI41)
    assert fault.subcodes == (INVALID_SECURITY,)
    assert list((guarded.data / "documents").rglob("*.part")) == []


def test_the_sender_is_told_the_kind_of_failure_alone_and_the_log_has_the_reason(
    guarded: Server,
) -> None:
    several = {"expired": Asserted(end=-120), "foreign": Asserted(issuer="https://other.example")}
    told = {refusal(guarded, security(signed(one))).reason for one in several.values()}
    assert {reason.partition(" The server's log")[0] for reason in told} == {
        "The assertion is not accepted."
    }
    (one, _) = told
    correlation = one.rpartition(" ")[2].removesuffix(".")
    (line,) = [
        line
        for line in guarded.log.read_text().splitlines()
        if correlation in line and "no user is accepted" in line
    ]
    assert "has expired" in line or "not in user_issuers" in line


def reason_logged(server: Server, fault: Fault) -> str:
    """Return the reason of a refusal that the log has under the id that the fault names."""
    correlation = fault.reason.rpartition(" ")[2].removesuffix(".")
    lines = map(json.loads, server.log.read_text().splitlines())
    [line] = [
        line
        for line in lines
        if line.get("correlation") == correlation and line["event"] == "no user is accepted"
    ]
    return str(line["reason"])


@pytest.mark.parametrize(
    ("make", "refused", "accepted"),
    [
        (
            lambda: with_algorithm("SignatureMethod", f"{DS}rsa-sha1"),
            f"the SignatureMethod {DS}rsa-sha1 is not accepted",
            "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
        ),
        (
            lambda: signed_with(digest=xmlsec.Transform.SHA1),
            f"the DigestMethod {DS}sha1 is not accepted",
            "http://www.w3.org/2001/04/xmlenc#sha256",
        ),
        (
            lambda: signed_with(transforms=in_order("EXCL_C14N")),
            "the Transforms http://www.w3.org/2001/10/xml-exc-c14n# is not accepted",
            f"{DS}enveloped-signature",
        ),
    ],
    ids=["signature", "digest", "transforms"],
)
def test_a_refused_algorithm_is_named_with_those_that_are_accepted(
    guarded: Server, make: Header, refused: str, accepted: str
) -> None:
    fault = refusal(guarded, make())
    for told in (fault.reason, reason_logged(guarded, fault)):
        assert refused in told
        assert accepted in told


def test_the_log_says_why_a_holder_of_key_is_not_confirmed(guarded: Server) -> None:
    header = security(signed(Asserted(confirmation=holder_of(vouching().stranger.der))))
    fault = refusal(guarded, header)
    assert "holder" not in fault.reason
    told = reason_logged(guarded, fault)
    assert "have a proxy end TLS" in told
    assert "trusted_proxies" in told


def test_no_assertion_is_in_the_log(guarded: Server) -> None:
    text = guarded.log.read_text()
    assert "no user is accepted" in text
    for secret in ("SignatureValue", "Jo Smith", "jo@example", "other.example", "eyJ"):
        assert secret not in text
