"""The options of node authentication, and the combinations of them that would promise too much.

They are part of :class:`xds.config.Config`; files that they name are read by xds.tls.material.
"""

import ipaddress
import re
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, model_validator

ClientCertificates = Literal["none", "optional", "required"]

_HEADER: Final = re.compile(r"[A-Za-z][A-Za-z0-9]*")


def _check_networks(text: str) -> str:
    networks(text)
    return text


def networks(text: str) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
    """Read addresses and networks separated by white space; ValueError where one is none."""
    try:
        return tuple(ipaddress.ip_network(one) for one in text.split())
    except ValueError:
        raise ValueError("not addresses or networks such as 192.0.2.7 or 192.0.2.0/24") from None


def _check_header(name: str) -> str:
    if not _HEADER.fullmatch(name):
        raise ValueError(
            "a header of letters and digits alone: with - or _ in it, a client could send the same "
            "name with the other of the two, past the proxy, and WSGI would take it for this one"
        )
    return name


def _joined(value: object) -> object:
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return " ".join(value)
    return value


Networks = Annotated[str, BeforeValidator(_joined), AfterValidator(_check_networks)]
HeaderName = Annotated[str, AfterValidator(_check_header)]


class TlsOptions(BaseModel):
    """How nodes prove to each other who they are (ITI TF-2 3.19)."""

    tls_certificate: Path | None = Field(
        None,
        description="File (PEM) of this server's certificate and its chain; unset: no TLS.",
        examples=["server.pem"],
    )
    tls_key: Path | None = Field(
        None,
        description="File (PEM) of its key; unset: the key stands in tls_certificate.",
        examples=["server.key"],
    )
    tls_key_password: str | None = Field(
        None,
        repr=False,
        description="Password of the keys in tls_key and tls_outgoing_key.",
        examples=["…"],
    )
    tls_client_certificates: ClientCertificates = Field(
        "none",
        description="Certificates of clients: none, optional (verified if shown) or required.",
    )
    tls_trust: Path | None = Field(
        None,
        description="File (PEM) of the authorities that certificates of clients come from.",
        examples=["authorities.pem"],
    )
    tls_crl: Path | None = Field(
        None,
        description="File (PEM) of the revocation lists of those authorities.",
        examples=["revoked.pem"],
    )
    tls_minimum: Literal["1.2", "1.3"] = Field("1.2", description="Lowest version of TLS.")
    tls_in_front: Literal["yes", "no"] = Field(
        "no",
        description="Whether something in front provides TLS, so that this may listen without.",
    )
    tls_outgoing_trust: Path | None = Field(
        None,
        description="File (PEM) of authorities of the servers called; unset: the system's.",
        examples=["authorities.pem"],
    )
    tls_outgoing_certificate: Path | None = Field(
        None,
        description="File (PEM) of the certificate shown to servers called; unset: none.",
        examples=["server.pem"],
    )
    tls_outgoing_key: Path | None = Field(
        None,
        description="File (PEM) of its key; unset: it stands in tls_outgoing_certificate.",
        examples=["server.key"],
    )
    mllp_tls: Literal["yes", "no"] | None = Field(
        None, description="Whether the patient feed has TLS; unset: if there is a tls_certificate."
    )
    mllp_client_certificates: ClientCertificates | None = Field(
        None, description="Certificates of its clients; unset: as tls_client_certificates."
    )
    trusted_proxies: Networks | None = Field(
        None,
        description="Addresses or networks of proxies that are believed who asks; unset: any may "
        "send X-Forwarded-*, and none may tell of a node.",
        examples=["192.0.2.10 192.0.2.11"],
    )
    node_certificate_header: HeaderName = Field(
        "ClientCertificate",
        description="Header in which a trusted proxy passes the client's verified certificate.",
        examples=["XForwardedCert"],
    )
    node_address_header: HeaderName = Field(
        "ClientAddress",
        description="Header in which a trusted proxy passes the client's address.",
        examples=["XForwardedAddress"],
    )

    @property
    def has_tls(self) -> bool:
        """Whether HTTP is served by TLS."""
        return self.tls_certificate is not None

    @property
    def mllp_has_tls(self) -> bool:
        """Whether the patient feed is served by TLS."""
        return self.has_tls if self.mllp_tls is None else self.mllp_tls == "yes"

    @property
    def of_mllp_clients(self) -> ClientCertificates:
        """What is asked of the clients of the patient feed."""
        if not self.mllp_has_tls:
            return "none"
        return self.mllp_client_certificates or self.tls_client_certificates

    @model_validator(mode="after")
    def _check_certificate(self) -> Self:
        given = {
            "tls_key": self.tls_key is not None,
            "tls_client_certificates": self.tls_client_certificates != "none",
            "tls_trust": self.tls_trust is not None,
            "mllp_tls": self.mllp_tls == "yes",
        }
        for name, is_given in given.items():
            if is_given and not self.has_tls:
                raise ValueError(f"{name} needs a tls_certificate: without, there is no TLS")
        if self.tls_outgoing_key and not self.tls_outgoing_certificate:
            raise ValueError("tls_outgoing_key needs its tls_outgoing_certificate")
        return self

    @model_validator(mode="after")
    def _check_clients(self) -> Self:
        asked = {
            "tls_client_certificates": self.tls_client_certificates,
            "mllp_client_certificates": self.mllp_client_certificates or "none",
        }
        named = [name for name, wanted in asked.items() if wanted != "none"]
        if named and not self.tls_trust:
            raise ValueError(f"{named[0]} needs tls_trust: without, no certificate is verified")
        if self.tls_trust and not named:
            raise ValueError("tls_trust verifies nobody while tls_client_certificates is none")
        if self.tls_crl and not self.tls_trust:
            raise ValueError("tls_crl needs tls_trust: without, no certificate is verified")
        if asked["mllp_client_certificates"] != "none" and not self.mllp_has_tls:
            raise ValueError("mllp_client_certificates needs TLS for the patient feed")
        return self
