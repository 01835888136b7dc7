"""What comes on top when a server trusts nobody: TLS, users vouched for, a policy, and audit."""

import ssl
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from bench.messages import Request
from tests import vouching
from xds.client import Settings
from xds.security.policy import READS, SUBMISSIONS
from xds.tls.authority import Authority

_HEADER_ENDS: Final = b"</s:Header>"
_HOURS: Final = 2 * 3600
_ROLE: Final = "doctor^^2.999.10"


@dataclass(frozen=True, slots=True)
class Trust:
    """What a client needs to come in; nothing where everyone may."""

    authority: Path | None = None
    security: bytes = b""
    """The header wsse:Security."""
    assertion: bytes = b""
    bearer: str = ""

    @property
    def tls(self) -> ssl.SSLContext | None:
        """The context for connections, if they are TLS."""
        return ssl.create_default_context(cafile=self.authority) if self.authority else None

    @property
    def settings(self) -> Settings:
        """What `xds.client` is to be told."""
        return Settings(tls=self.tls, assertion=self.assertion)

    def asked(self, request: Request) -> Request:
        """Give a SOAP request with the assertion in it."""
        if not self.security:
            return request
        body = request.body.replace(_HEADER_ENDS, self.security + _HEADER_ENDS, 1)
        return replace(request, body=body)

    @property
    def header(self) -> str:
        """The line of an HTTP head with the token, if there is one."""
        return f"Authorization: Bearer {self.bearer}\r\n" if self.bearer else ""


NO_TRUST: Final = Trust()


def make(folder: Path) -> tuple[Trust, dict[str, str]]:
    """Make everything in a folder; return what clients need, and the options of the server."""
    folder.mkdir()
    authority = Authority.make("bench", 1)
    server = authority.issue("127.0.0.1", ["127.0.0.1"])
    files = {
        "authority.pem": authority.own.certificate_pem,
        "server.pem": server.certificate_pem + server.key_pem,
        "policy.toml": _policy().encode(),
    }
    for name, content in files.items():
        (folder / name).write_bytes(content)
    assertion = vouching.signed(vouching.Asserted(end=_HOURS))
    claims = vouching.claims()
    trust = Trust(
        folder / "authority.pem",
        vouching.security(assertion).encode(),
        vouching.as_text(assertion).encode(),
        vouching.token({**claims, "exp": claims["exp"] + _HOURS}),
    )
    options = vouching.vouching().options(folder / "issuers")
    options |= {
        "tls_certificate": str(folder / "server.pem"),
        "policy": str(folder / "policy.toml"),
        "audit": "on",
    }
    return trust, options


def _policy() -> str:
    """Permit all that is measured, by roles and codes as a deployment would."""
    normal = 'confidentialityCode = ["N^^2.16.840.1.113883.5.25"]'
    rules = (("read", READS, normal), ("submit", SUBMISSIONS, normal))
    return "\n".join(
        f'[[rule]]\nname = "doctors {name}"\ndecision = "permit"\n'
        f'transactions = {list(transactions)}\nroles = ["{_ROLE}"]\n{more}\n'
        for name, transactions, more in rules
    )
