"""Access tokens of IUA: JSON Web Tokens, from the text of one to its user (ITI-72; RFC 7519, 8725).

The cryptography is PyJWT's.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import jwt
from jwt.exceptions import PyJWTError

from xds.metadata.objects import Code
from xds.metadata.systems import Systems
from xds.security.caller import User, resource_id
from xds.security.errors import AuthenticationFailed
from xds.security.key_sets import ALGORITHMS, Key, KeySet
from xds.security.texts import UnacceptableText

_MOST_CHARACTERS: Final = 64 * 1024
_MOST_TRIED: Final = 8
_END_OF_TIME: Final = 253_402_300_800
"""The year 10000, in seconds of the epoch."""
_REQUIRED: Final = ("iss", "sub", "aud", "exp")
_UNREADABLE: Final = (ValueError, TypeError, AttributeError, ArithmeticError, RecursionError)


NOT_ACCEPTED: Final = "the token is not accepted"


class TokenRefused(AuthenticationFailed):
    """A token does not count; the text is for the log alone.

    ``told`` is for the client. It says more only of a token that an issuer has signed, so that
    nothing is learnt by forging.
    """

    def __init__(self, reason: str, told: str = NOT_ACCEPTED) -> None:
        super().__init__(reason)
        self.told = told


_TOLD: Final[Mapping[type[Exception], str]] = {
    jwt.ExpiredSignatureError: "the token has expired",
    jwt.ImmatureSignatureError: "the token is not valid yet",
    jwt.InvalidAudienceError: "the token is for another audience than this server",
}
"""What a client is told by PyJWT's error, which comes after the signature was verified."""


@dataclass(frozen=True, slots=True)
class VerifiedToken:
    """What an issuer has signed, and when it is valid: in seconds of the epoch."""

    user: User
    not_before: float
    expires: float

    def check(self, now: float, skew: int) -> None:
        """Raise TokenRefused at another time."""
        for is_wrong, error in (
            (now >= self.expires + skew, jwt.ExpiredSignatureError),
            (now < self.not_before - skew, jwt.ImmatureSignatureError),
        ):
            if is_wrong:
                raise TokenRefused(_TOLD[error], _TOLD[error])


def verify(
    token: str,
    key_sets: Mapping[str, KeySet],
    audiences: Iterable[str],
    skew: int,
    systems: Systems,
) -> VerifiedToken:
    """Verify a token as :func:`verified_claims` does, and return its user; TokenRefused.

    ``systems`` knows the code systems of its roles and purposes by all their names.
    """
    claims = verified_claims(token, key_sets, audiences, skew)
    try:
        user = user_of(claims, systems)
        return VerifiedToken(user, _number(claims, "nbf"), _number(claims, "exp"))
    except UnacceptableText as error:
        raise TokenRefused(f"a claim of the token is not acceptable: {error}") from None
    except _UNREADABLE as error:
        raise TokenRefused(f"the token cannot be read: {type(error).__name__}") from None


def verified_claims(
    token: str, key_sets: Mapping[str, KeySet], audiences: Iterable[str], skew: int
) -> Mapping[str, Any]:
    """Return the claims of a token whose signature, issuer, audience and times are right.

    TokenRefused where one is wrong.
    """
    if len(token) > _MOST_CHARACTERS:
        raise TokenRefused("the token is too long")
    try:
        issuer, identifier, algorithm = _read(token)
        if issuer not in key_sets:
            raise TokenRefused("the issuer is not one that may vouch for users here")
        keys = key_sets[issuer].find(identifier, algorithm)[:_MOST_TRIED]
        return _claims(token, keys, algorithm, audiences=list(audiences), skew=skew)
    except PyJWTError as error:
        # its text may quote the token
        told = _TOLD.get(type(error), NOT_ACCEPTED)
        raise TokenRefused(f"the token is not valid: {type(error).__name__}", told) from None
    except _UNREADABLE as error:
        raise TokenRefused(f"the token cannot be read: {type(error).__name__}") from None


def _read(token: str) -> tuple[str, str | None, str]:
    """Return what a token says of its issuer, key and algorithm, none of it proven yet."""
    header = jwt.get_unverified_header(token)
    algorithm = header.get("alg")
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
        raise TokenRefused("the algorithm is not one of those accepted")
    if "crit" in header:
        raise TokenRefused("the header has an extension that is not understood")
    claims = jwt.decode(token, options={"verify_signature": False})
    issuer, identifier = claims.get("iss"), header.get("kid")
    if not isinstance(issuer, str) or not isinstance(identifier, str | None):
        raise TokenRefused("the token names no issuer, or no key, as it should")
    return issuer, identifier, algorithm


def _claims(
    token: str, keys: Iterable[Key], algorithm: str, *, audiences: list[str], skew: int
) -> dict[str, Any]:
    options: Any = {"require": list(_REQUIRED)}
    for key in keys:
        try:
            return jwt.decode(
                token,
                key.jwk.key,
                algorithms=[algorithm],
                audience=audiences,
                leeway=skew,
                options=options,
            )
        except jwt.InvalidSignatureError:
            continue
    raise TokenRefused("no key of the issuer has signed it")


def _number(claims: Mapping[str, Any], name: str) -> float:
    found = float(claims.get(name, 0))
    if not 0 <= found < _END_OF_TIME:
        raise TokenRefused("a time of the token is none")
    return found


# --- claims --------------------------------------------------------------------------------------


def user_of(claims: Mapping[str, Any], systems: Systems) -> User:
    """Return the user that claims tell of (IUA, ITI-72: the extensions ihe_iua and ihe_bppc).

    The coding schemes of roles and purposes are canonical ones of ``systems``.
    """
    extensions = claims.get("extensions") or {}
    iua, bppc = extensions.get("ihe_iua") or {}, extensions.get("ihe_bppc") or {}
    organizations = _texts(iua.get("subject_organization_id"))
    patients = (*_texts(iua.get("person_id")), *_texts(bppc.get("patient_id")))
    return User(
        name_id=_name(claims["sub"]),
        issuer=claims["iss"],
        subject_id=_first(iua.get("subject_name")),
        organization=_first(iua.get("subject_organization")),
        organization_id=next(iter(organizations), ""),
        organization_ids=organizations,
        home_community_id=_first(iua.get("home_community_id")),
        provider_identifiers=_texts(iua.get("national_provider_identifier")),
        roles=_codes(iua.get("subject_role"), systems),
        purposes_of_use=_codes(iua.get("purpose_of_use"), systems),
        resource_ids=tuple(dict.fromkeys(map(resource_id, patients))),
        patients=_texts(claims.get("patient")) or _texts(iua.get("person_id")),
        consent_documents=_texts(bppc.get("doc_id")),
        access_policies=_texts(bppc.get("acp")),
        scopes=frozenset(" ".join(_texts(claims.get("scope"))).split()),
        assertion_id=_first(claims.get("jti")),
    )


def _name(subject: object) -> str:
    if not isinstance(subject, str) or not subject.strip():
        raise TokenRefused("the token names no subject")
    return subject.strip()


def _listed(value: object) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _texts(value: object) -> tuple[str, ...]:
    texts = (one.strip() for one in _listed(value) if isinstance(one, str))
    return tuple(dict.fromkeys(text for text in texts if text))


def _first(value: object) -> str:
    return next(iter(_texts(value)), "")


def _codes(value: object, systems: Systems) -> tuple[Code, ...]:
    """Read coded values; a plain text is a code without a system."""
    read = (_code(one, systems) for one in _listed(value))
    return tuple(dict.fromkeys(one for one in read if one.code))


def _code(value: object, systems: Systems) -> Code:
    if not isinstance(value, Mapping):
        return Code(_first(value), "")
    system = systems.canonical(_first(value.get("system")))
    return Code(_first(value.get("code")), system, _first(value.get("display")))
