"""What the commands of a document source and consumer share: where the servers are, who it is for.

Options that do not change from call to call stand in the environment too, as XDS_CLIENT_ and their
name.
"""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click

from xds.client import (
    LOCAL_URL,
    ClientError,
    DocumentAdministrator,
    DocumentConsumer,
    DocumentMetadataSubscriber,
    DocumentSource,
    PageConsumer,
    ResourceSubscriber,
    Settings,
    tls_context,
)
from xds.commands.terminal import printable
from xds.metadata import datatypes
from xds.metadata.datatypes import CX
from xds.metadata.objects import Code
from xds.parsing import MalformedXML, parse

Command = Callable[..., Any]

ENVIRONMENT: Final = "XDS_CLIENT_"
"""The CLIENT_PREFIX of xds.config, which takes longer to import than a query to answer."""

_FILE: Final = click.Path(exists=True, dir_okay=False)


@dataclass(frozen=True, slots=True)
class Servers:
    """The registry and the repository that a command is to use."""

    registry_url: str
    repository_url: str
    settings: Settings
    broker_url: str
    fhir_url: str

    @contextmanager
    def fhir_subscriber(self) -> Iterator[ResourceSubscriber]:
        """Use a subscriber of FHIR; what goes wrong ends the command with a sentence."""
        with _sentences(), _fhir_subscriber(self) as subscriber:
            yield subscriber

    @contextmanager
    def pages(self) -> Iterator[PageConsumer]:
        """Use a reader of pages; what goes wrong ends the command with a sentence."""
        with _sentences(), _pages(self) as pages:
            yield pages

    @contextmanager
    def source(self) -> Iterator[DocumentSource]:
        """Use a Document Source; what goes wrong ends the command with a sentence."""
        with _sentences(), _source(self) as source:
            yield source

    @contextmanager
    def administrator(self) -> Iterator[DocumentAdministrator]:
        """Use a Document Administrator; what goes wrong ends the command with a sentence."""
        with _sentences(), _administrator(self) as administrator:
            yield administrator

    @contextmanager
    def subscriber(self) -> Iterator[DocumentMetadataSubscriber]:
        """Use a subscriber of DSUB; what goes wrong ends the command with a sentence."""
        with _sentences(), _subscriber(self) as subscriber:
            yield subscriber

    @contextmanager
    def consumer(self) -> Iterator[DocumentConsumer]:
        """Use a Document Consumer; what goes wrong ends the command with a sentence."""
        with _sentences(), _consumer(self) as consumer:
            yield consumer


def _source(servers: Servers) -> DocumentSource:
    try:
        return DocumentSource(servers.repository_url, settings=servers.settings)
    except ValueError as error:
        raise click.UsageError(f"{servers.repository_url}: {error}") from None


def _administrator(servers: Servers) -> DocumentAdministrator:
    urls = servers.registry_url, servers.repository_url
    try:
        return DocumentAdministrator(*urls, settings=servers.settings)
    except ValueError as error:
        raise click.UsageError(f"{' and '.join(urls)}: {error}") from None


def _subscriber(servers: Servers) -> DocumentMetadataSubscriber:
    try:
        return DocumentMetadataSubscriber(servers.broker_url, settings=servers.settings)
    except ValueError as error:
        raise click.UsageError(f"{servers.broker_url}: {error}") from None


def _fhir_subscriber(servers: Servers) -> ResourceSubscriber:
    try:
        return ResourceSubscriber(servers.fhir_url, settings=servers.settings)
    except ValueError as error:
        raise click.UsageError(f"{servers.fhir_url}: {error}") from None


def _pages(servers: Servers) -> PageConsumer:
    try:
        return PageConsumer(servers.fhir_url, settings=servers.settings)
    except ValueError as error:
        raise click.UsageError(f"{servers.fhir_url}: {error}") from None


def _consumer(servers: Servers) -> DocumentConsumer:
    urls = servers.registry_url, servers.repository_url
    try:
        return DocumentConsumer(*urls, settings=servers.settings)
    except ValueError as error:
        raise click.UsageError(f"{' and '.join(urls)}: {error}") from None


@contextmanager
def _sentences() -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        lines = error.explain().splitlines()
        if error.request_id:
            lines.append(f"The log of the server tells more under request id {error.request_id}")
        raise click.ClickException("\n".join(map(printable, lines))) from None
    except OSError as error:
        raise click.ClickException(f"{error.filename or 'a file'}: {error.strerror}") from None


def with_servers(function: Command) -> Command:
    """Add the options that tell where the servers are; the command is handed ``servers``."""

    @functools.wraps(function)
    def command(**given: Any) -> Any:
        return function(servers=_servers(**{name: given.pop(name) for name in _NAMES}), **given)

    result: Command = command
    for option in reversed(_OPTIONS):
        result = option(result)
    return result


def _servers(
    *,
    url: str,
    registry: str | None,
    repository: str | None,
    broker: str | None,
    ca: str | None,
    cert: str | None,
    key: str | None,
    assertion: str | None,
    timeout: float,
) -> Servers:
    root = url.rstrip("/")
    tls = None
    if ca or cert:
        try:
            tls = tls_context(ca, cert, key)
        except OSError as error:  # ssl.SSLError is one
            raise click.UsageError(f"the certificates cannot be used: {error.strerror}") from None
    settings = Settings(timeout=timeout, tls=tls, assertion=_assertion(assertion))
    return Servers(
        registry or f"{root}/registry",
        repository or f"{root}/repository",
        settings,
        broker or f"{root}/notification",
        f"{root}/fhir",
    )


def _assertion(file: str | None) -> bytes:
    data = Path(file).read_bytes() if file else b""
    try:
        if data:
            parse(data)
    except MalformedXML as error:
        raise click.BadParameter(str(error), param_hint="--assertion") from None
    return data


def _option(name: str, help_text: str, **more: Any) -> Callable[[Command], Command]:
    return click.option(
        f"--{name}", envvar=ENVIRONMENT + name.upper(), show_envvar=True, help=help_text, **more
    )


_OPTIONS: Final = (
    _option(
        "url",
        "Root of a server that has all actors, at /registry, /repository and /notification.",
        metavar="URL",
        default=LOCAL_URL,
        show_default=True,
    ),
    _option("registry", "URL of the Document Registry, if it is elsewhere.", metavar="URL"),
    _option("repository", "URL of the Document Repository, if it is elsewhere.", metavar="URL"),
    _option("broker", "URL of the notification broker (DSUB), if it is elsewhere.", metavar="URL"),
    _option("ca", "PEM file of the authorities that https servers are verified by.", type=_FILE),
    _option("cert", "PEM file of the certificate to show to https servers.", type=_FILE),
    _option("key", "PEM file of its key, if it is not in the same file.", type=_FILE),
    _option("assertion", "File of the SAML assertion to send with every message.", type=_FILE),
    _option(
        "timeout",
        "Seconds of silence after which a server is given up.",
        type=click.FloatRange(0, min_open=True),
        default=60.0,
        show_default=True,
    ),
)
_NAMES: Final = (
    *("url", "registry", "repository", "broker", "ca", "cert", "key", "assertion", "timeout"),
)


def with_patient(function: Command) -> Command:
    """Add --patient and --authority; the command is handed ``patient_id``, a CX."""

    @functools.wraps(function)
    def command(patient: str, authority: str | None, **given: Any) -> Any:
        return function(patient_id=_patient_id(patient, authority), **given)

    result: Command = command
    for option in (
        _option(
            "authority",
            "OID of the authority that assigned the patient's id, where the id is given alone.",
            metavar="OID",
        ),
        click.option(
            "--patient",
            metavar="ID",
            required=True,
            help="The patient's id: ID^^^&OID&ISO, or the bare id with --authority.",
        ),
    ):
        result = option(result)
    return result


def _patient_id(patient: str, authority: str | None) -> str:
    try:
        if "^" in patient:
            return str(CX.parse(patient))
        if authority is None:
            raise click.UsageError("--patient is a bare id: --authority is to tell who assigned it")
        return str(CX(patient, authority.removeprefix("urn:oid:")))
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--patient") from None


def parsed_by(parse: Callable[[str], object]) -> Callable[..., Any]:
    """Make a callback that reads the values of an option; a ValueError says what is wrong."""

    def callback(ctx: click.Context, param: click.Parameter, value: Any) -> Any:
        try:
            if isinstance(value, tuple):
                return tuple(parse(one) for one in value)
            return None if value is None else parse(value)
        except ValueError as error:
            raise click.BadParameter(str(error), ctx, param) from None

    return callback


def code(text: str) -> Code:
    """Read a code with its name, ``code^display^scheme``."""
    parts = text.split("^")
    if len(parts) != 3 or not all(parts):
        raise ValueError("not of the form code^display^scheme")
    return Code(parts[0], parts[2], parts[1])


def code_sought(text: str) -> Code:
    """Read a code to look for, ``code^^scheme``; a display name in it is not looked at."""
    parts = text.split("^")
    if len(parts) != 3 or not (parts[0] and parts[2]):
        raise ValueError("not of the form code^^scheme")
    return Code(parts[0], parts[2])


def dtm(text: str) -> str:
    """Read a time."""
    datatypes.check_dtm(text)
    return text


def safe_file_name(text: str, suffix: str) -> Path:
    """Make a file's name of an identifier, in the present folder and nowhere else."""
    kept = "".join(c if c.isalnum() or c in "._-" else "_" for c in text)[:150]
    return Path((kept.lstrip(".") or "document") + suffix)
