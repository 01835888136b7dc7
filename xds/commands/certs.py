"""`xds certs`: an authority and certificates for trials of TLS, with how to use them."""

import os
import shlex
from pathlib import Path
from typing import Final

import click

from xds.private_folder import make_private_folder

_KEYS: Final = ".key"
_USE: Final = """\
An authority for trials, and what it has issued, in {folder}:
  authority.pem           the authority
  server.pem, server.key  for {hosts}
  client.pem, client.key  for a client
  revoked.pem             a client that is to be refused, since crl.pem revokes it (revoked.key)
Whoever has authority.key can issue more. None of it is for real use.

Serve with them, so that only clients with a certificate come in:
  xds serve --tls-certificate {f}/server.pem --tls-key {f}/server.key \\
    --tls-client-certificates required --tls-trust {f}/authority.pem --tls-crl {f}/crl.pem

Ask as such a client:
  curl --cacert {f}/authority.pem --cert {f}/client.pem --key {f}/client.key \\
    https://{host}:8080/health/ready
  xds find --url https://{host}:8080 --ca {f}/authority.pem --cert {f}/client.pem \\
    --key {f}/client.key --patient 'P1^^^&2.999.1.1&ISO'
"""


@click.command("certs")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), metavar="FOLDER")
@click.option(
    "--host",
    "hosts",
    multiple=True,
    default=("localhost", "127.0.0.1", "::1"),
    metavar="NAME",
    help="Name or address at which clients reach the server; may be repeated. Default: localhost.",
)
@click.option(
    "--days", type=click.IntRange(1, 3650), default=90, show_default=True, help="How long for."
)
def command(folder: Path, hosts: tuple[str, ...], days: int) -> None:
    """Make an authority for trials, certificates of a server and of clients, and a CRL.

    Everything goes into FOLDER, which is made if need be; no file there is replaced.
    """
    from xds.tls.authority import Authority

    authority = Authority.make("xds test authority", days)
    try:
        server = authority.issue(hosts[0], hosts)
    except ValueError:
        raise click.BadParameter("not a name or an address in ASCII", param_hint="--host") from None
    client, revoked = authority.issue("client"), authority.issue("revoked client")
    files = {"crl.pem": authority.revocations([revoked.certificate])}
    for name, issued in (
        ("authority", authority.own),
        ("server", server),
        ("client", client),
        ("revoked", revoked),
    ):
        files[f"{name}.pem"], files[f"{name}{_KEYS}"] = issued.certificate_pem, issued.key_pem
    _write(folder, files)
    host = f"[{hosts[0]}]" if ":" in hosts[0] else hosts[0]
    text = _USE.format(folder=folder, f=shlex.quote(str(folder)), hosts=", ".join(hosts), host=host)
    click.echo(text, nl=False)


def _write(folder: Path, files: dict[str, bytes]) -> None:
    there = [name for name in files if (folder / name).exists()]
    if there:
        raise click.ClickException(f"{folder} has {there[0]} already; nothing is replaced")
    try:
        make_private_folder(folder)
        for name, data in files.items():
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
            with open(os.open(folder / name, flags, 0o600), "wb") as file:
                file.write(data)
    except OSError as error:
        raise click.ClickException(f"{folder}: {error.strerror}") from None
