"""``.well-known/smart-configuration``: where clients get tokens for this server (SMART 2.2).

It is made of the file ``user_issuers``, and says no more than stands there and what this server
does itself. It describes one authorization server: the first issuer with a ``token_endpoint``.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from xds.config import Config
from xds.fhir.interactions import OPEN, Interaction, transactions_of
from xds.security import scopes
from xds.security.issuers import Issuers, TokenIssuer
from xds.security.requirements import UserRequirements

_PERMISSIONS: Final = ("permission-v1", "permission-v2", "permission-user", "permission-patient")
"""The capabilities that are a resource server's: the scopes that it goes by."""


def authorization_server(config: Config, requirements: UserRequirements) -> TokenIssuer | None:
    """Return whom clients get tokens from; None where no tokens are taken, or none is stated."""
    if not requirements.asks_anywhere:
        return None
    issuers = Issuers.read(config.user_issuers).tokens.values()
    return next((one for one in issuers if "token_endpoint" in one.endpoints), None)


def configuration(
    issuer: TokenIssuer, config: Config, rows: Sequence[Interaction]
) -> Mapping[str, Any]:
    """Return the document (SMART App Launch, conformance).

    Without ``grant_types`` in the file they follow from the endpoints. The scopes are those that
    are asked for here, and left out with ``token_scopes = "ignore"``.
    """
    asks = config.token_scopes == "require"
    stated = {
        "issuer": issuer.name if "://" in issuer.name else "",
        "jwks_uri": issuer.url,
        **issuer.endpoints,
        "token_endpoint_auth_methods_supported": list(issuer.token_endpoint_auth_methods),
        "scopes_supported": _scopes(rows) if asks else [],
        "response_types_supported": ["code"] if _AUTHORIZES in issuer.endpoints else [],
    }
    return {
        **{name: value for name, value in stated.items() if value},
        "grant_types_supported": list(issuer.grant_types) or _grant_types(issuer),
        "code_challenge_methods_supported": ["S256"],
        "capabilities": [*issuer.capabilities, *(_PERMISSIONS if asks else ())],
    }


_AUTHORIZES: Final = "authorization_endpoint"


def _scopes(rows: Sequence[Interaction]) -> list[str]:
    guarded = [row for row in rows if row.code not in OPEN]
    needed = (one for row in guarded for one in row.needed)
    return scopes.supported(transactions_of(guarded), needed)


def _grant_types(issuer: TokenIssuer) -> list[str]:
    return ["authorization_code" if _AUTHORIZES in issuer.endpoints else "client_credentials"]
