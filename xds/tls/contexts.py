"""TLS by the standard library: for servers that are called, and for the patient feed."""

import ssl
from functools import lru_cache
from pathlib import Path
from typing import Final

from xds.tls.options import ClientCertificates, TlsOptions

_LEAST: Final = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
_DEMANDS: Final = {
    "none": ssl.CERT_NONE,
    "optional": ssl.CERT_OPTIONAL,
    "required": ssl.CERT_REQUIRED,
}


class BadContext(Exception):
    """A file for the servers that are called is not what its option says."""


def outgoing(options: TlsOptions) -> ssl.SSLContext:
    """Give the context for calling servers: they are verified, and shown this node's certificate.

    It is made once for a process, of the files as they are then; BadContext where one is wrong.
    """
    return _outgoing(
        options.tls_outgoing_trust,
        options.tls_outgoing_certificate,
        options.tls_outgoing_key,
        options.tls_key_password or "",
        options.tls_minimum,
    )


@lru_cache
def _outgoing(
    trust: Path | None, certificate: Path | None, key: Path | None, password: str, minimum: str
) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=trust)
    except OSError as error:
        raise BadContext(f"tls_outgoing_trust: {trust} cannot be used: {error.strerror}") from None
    context.minimum_version = _LEAST[minimum]
    if certificate is not None:
        try:
            # without any password, the library would ask for one at the terminal
            context.load_cert_chain(certificate, key, password)
        except OSError as error:
            raise BadContext(
                f"tls_outgoing_certificate: {certificate} cannot be used with its key: "
                f"{error.strerror}"
            ) from None
    return context


def serving(folder: Path, clients: ClientCertificates, minimum: str) -> ssl.SSLContext:
    """Make a context for serving, of the files in a folder of :class:`xds.tls.material.Copies`.

    A session is not resumed: each connection is verified anew.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = _LEAST[minimum]
    context.options |= ssl.OP_NO_TICKET
    context.num_tickets = 0
    context.load_cert_chain(folder / "certificate.pem", folder / "key.pem")
    if clients != "none":
        context.load_verify_locations(folder / "trust.pem")
        counted = context.cert_store_stats()
        if counted["x509"] > counted["x509_ca"]:
            # a node in the list is trusted, whoever has issued its certificate. Without such a one
            # this would end chains at intermediate authorities, and leave their own CRL unfound.
            context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        for revocations in folder.glob("crl-*.pem"):
            context.load_verify_locations(revocations)
            context.verify_flags |= ssl.VERIFY_CRL_CHECK_CHAIN
    context.verify_mode = _DEMANDS[clients]
    return context
