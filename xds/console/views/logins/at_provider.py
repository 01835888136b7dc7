"""Logging in at a provider of OpenID Connect: there, and back from there."""

from dataclasses import replace
from typing import Final

from xds.accounts.openid_login import LoginUnderWay
from xds.accounts.openid_provider import (
    LoginRefused,
    OpenIDClient,
    OpenIDProvider,
    ProviderFailed,
    VouchedLogin,
)
from xds.accounts.throttle import Attempts
from xds.accounts.vouched import ClaimNames, NotVouched, person_of_claims, user_of_claims
from xds.config import Config
from xds.console.rendering import ROOT
from xds.console.views.logins import logging_in
from xds.console.visits import Answer, AtProvider, PageNotFound, SeeOther, Visit
from xds.security.caller import Caller
from xds.tls import contexts
from xds.url_allowlist import Target, prefixes

RETURN: Final = "/openid/return"
"""Where the provider sends people back to."""
_FREE: Final = 20
"""Answers in turn from an address that are none, before one waits."""


def provider_of(config: Config) -> OpenIDProvider | None:
    """Return the provider that the options name; None where people do not log in at one."""
    if not config.has_openid:
        return None
    public, issuer = config.public_url or "", config.openid_issuer or ""
    client = OpenIDClient(
        issuer=issuer,
        client_id=config.openid_client or "",
        secret=config.openid_secret or "",
        scopes=config.openid_scopes,
        redirect_uri=f"{public}{ROOT}{RETURN}",
        after_logout=f"{public}{ROOT}/login",
        allowed=prefixes(config.openid_endpoints or Target.parse(issuer).server),
        skew=config.clock_skew_seconds,
    )
    return OpenIDProvider(client, contexts.outgoing(config))


def begin(visit: Visit) -> Answer:
    """Send somebody to the provider; whoever has logged in already goes on."""
    provider = _provider(visit)
    if visit.session is not None:
        return SeeOther(visit.given["next"] or "/")
    login = LoginUnderWay.begin(visit.given["next"])
    try:
        return AtProvider(provider.login_url(login), login)
    except ProviderFailed as error:
        return logging_in.form(visit, _sentence(error), status=503)


def finish(visit: Visit) -> Answer:
    """Begin a session for whoever comes back from the provider, if it vouches for them."""
    provider, throttle = _provider(visit), visit.console.throttle
    attempts = [Attempts("openid", visit.node.address, _FREE)]
    if wait := throttle.admit(attempts):
        return logging_in.wait(visit, wait)
    vouched: VouchedLogin | None = None
    try:
        if visit.login is None:
            raise LoginRefused("no login has been begun in this browser, or too long ago")
        vouched = provider.redeem(visit.login, visit.given, _names(visit).wanted)
        person = person_of_claims(vouched.claims, _names(visit), visit.console.roles)
    except (LoginRefused, NotVouched, ProviderFailed) as error:
        user = user_of_claims(vouched.claims) if vouched else None
        logging_in.record(visit, Caller(node=visit.node, user=user), failure=str(error))
        status = 503 if isinstance(error, ProviderFailed) else 403
        return logging_in.form(visit, _sentence(error), status=status)
    throttle.succeed(attempts)
    return logging_in.let_in(visit, replace(person, id_token=vouched.id_token), visit.login.place)


def _provider(visit: Visit) -> OpenIDProvider:
    """Return the provider, PageNotFound where people do not log in at one."""
    if visit.console.provider is None:
        raise PageNotFound
    return visit.console.provider


def _names(visit: Visit) -> ClaimNames:
    config = visit.console.config
    return ClaimNames(
        groups=config.openid_groups_claim, patients=config.openid_patients_claim or ""
    )


def _sentence(error: Exception) -> str:
    text = str(error)
    return f"{text[:1].upper()}{text[1:]}."
