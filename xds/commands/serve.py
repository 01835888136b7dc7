"""`xds serve`: the server, with a first round trip if documents are given for it."""

import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import click

from xds import logs
from xds.commands.files import wrong_files
from xds.commands.flags import with_config
from xds.config import EXAMPLES, Config, environment_name, unknown_environment
from xds.metadata.catalogue import CATALOGUE
from xds.sqlite_file import path_of

_TRIAL: Final = "trial"
_MLLP: Final = frozenset(row.name for row in CATALOGUE if row.hl7v2)


@click.command("serve")
@with_config()
@click.option(
    "--round-trip",
    "files",
    multiple=True,
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    metavar="FILE",
    help="Once it serves, provide this document, find it and retrieve it; may be repeated.",
)
def command(config: Config, files: tuple[Path, ...]) -> None:
    """Serve a Document Registry and a Document Repository until it is told to stop.

    With --registry-url a repository alone, which registers there; with --serve-repository no a
    registry alone. SIGTERM or Ctrl-C ends it once what is under way has ended.
    """
    from xds.server.supervisor import ServerError, serve

    if files and config.serve_repository == "no":
        raise click.UsageError("a registry alone makes no --round-trip: no documents are kept here")
    logs.configure(config.log_level, config.log_format)
    if wrong := wrong_files(config):
        raise click.UsageError("\n".join(wrong))
    _warn(config)
    _note(config, starts=True)
    trial = _trial_account(config) if config.console == "trial" else ""
    try:
        code = serve(config, when_ready=_when_ready(files, trial))
    except ServerError as error:
        raise click.ClickException(str(error)) from None
    finally:
        _note(config, starts=False)
    raise SystemExit(code)


def _note(config: Config, *, starts: bool) -> None:
    """Record that the server starts or has ended, where there is audit."""
    from xds.audit.audit_log import note_application

    if config.audit == "off":
        return
    try:
        note_application(config, starts=starts)
    except OSError as error:
        reason = f"audit records cannot be kept: {error.filename or config.data}: {error.strerror}"
        if config.audit_failure == "refuse" and starts:
            raise click.ClickException(reason) from None
        logs.get_logger(__name__).error(reason)


def _warn(config: Config) -> None:
    from xds.security.issuers import Issuers

    log = logs.get_logger(__name__)
    has_repository = config.serve_repository == "yes"
    if config.registry_url is not None:
        log.info("serves no registry, but registers elsewhere", registry=config.registry_url)
    if config.registry_url is not None or not has_repository:
        log.info("serves no FHIR, which takes registry and repository in one process")
    for option in _example_oids(config):
        log.warning(
            "the OID of an example: give it one of your own before real use",
            option=option,
            environment=environment_name(option),
        )
    in_folder = has_repository and config.documents_url.startswith("file:")
    if in_folder and path_of(config.database_url) is None:
        log.warning(
            "the database is on a server and the documents are in a folder: every instance that "
            "shares the database needs the same folder, else it cannot give them out",
            documents=config.documents_url,
        )
    if config.user_requirements.asks_anywhere and not config.trusted_proxies:
        log.info(
            "assertions of a holder of key cannot be confirmed, those of a bearer can: TLS that "
            "ends here does not tell the client's certificate; a proxy in trusted_proxies does",
            option="trusted_proxies",
        )
    if config.policy and not config.trusted_proxies and _names_nodes(config.policy):
        log.warning(
            "rules of the policy name nodes, and over HTTP none is known by its certificate: TLS "
            "that ends here does not tell it; a proxy in trusted_proxies does",
            option="trusted_proxies",
        )
    for issuer in Issuers.read(config.user_issuers).unprotected:
        log.warning(
            "the keys of an issuer come by plain http, where anyone between can change them: "
            "use https or a file",
            option="user_issuers",
            issuer=issuer,
        )
    for name in unknown_environment():
        log.warning("an environment variable is set that is no option", environment=name)


def _names_nodes(policy: Path) -> bool:
    """Whether a rule names nodes for more than the feed over MLLP, which knows certificates."""
    from xds.metadata.systems import Systems
    from xds.security import policy_file

    rules = policy_file.read(policy.read_bytes(), Systems.of(())).rules
    return any(
        rule.nodes and not (rule.transactions and rule.transactions <= _MLLP) for rule in rules
    )


def _example_oids(config: Config) -> Iterator[str]:
    for option in ("repository_unique_id", "home_community_id", "assigning_authority"):
        value: str | None = getattr(config, option)
        is_here = option != "repository_unique_id" or config.serve_repository == "yes"
        if value and is_here and value.removeprefix("urn:oid:").startswith(EXAMPLES):
            yield option


def _trial_account(config: Config) -> str:
    """Make the account for a trial of the console, and return its password, which is a new one."""
    from xds.accounts.accounts import Accounts
    from xds.accounts.roles import ConsoleRole
    from xds.database.access import Database
    from xds.database.errors import DatabaseUnavailable
    from xds.registry import schema

    password = secrets.token_urlsafe(12)
    try:
        database = Database(config.database_url)
        try:
            schema.prepare(database)
            Accounts(database).put(_TRIAL, password, [ConsoleRole.ADMINISTRATOR])
        finally:
            database.close()
    except DatabaseUnavailable as error:
        raise click.ClickException(f"The database is not available: {error}.") from None
    return password


def _when_ready(documents: tuple[Path, ...], trial: str) -> Callable[[Config], None] | None:
    if not (documents or trial):
        return None

    def tell(config: Config) -> None:
        if documents:
            from xds.commands.smoke_test import show

            show(config, documents)
        if trial:
            url = config.places["console"]
            click.echo(f"The console is at {url}: log in as {_TRIAL} with the password {trial}\n")

    return tell
