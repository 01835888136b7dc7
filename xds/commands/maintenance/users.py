"""`xds users`: the local accounts of the console."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final, TextIO

import click

from xds.accounts.accounts import Account, AccountError, Accounts
from xds.accounts.passwords import WeakPassword
from xds.accounts.roles import ConsoleRole
from xds.commands.client.client_options import parsed_by
from xds.commands.flags import with_config
from xds.commands.maintenance.maintained import database_of
from xds.commands.terminal import print_table, printable
from xds.config import Config
from xds.metadata.datatypes import CX

_ACTIONS: Final = ("list", "add", "password", "remove")
_HEADINGS: Final = ("name", "roles", "patients", "since")


def _patient(text: str) -> str:
    if "^" not in text:
        raise ValueError("a bare id: write who assigned it as well, such as P1^^^&2.999.1.1&ISO")
    return str(CX.parse(text))


@click.command("users")
@with_config("data", "database")
@click.argument("action", type=click.Choice(_ACTIONS), default="list")
@click.argument("name", required=False)
@click.option(
    "--role", "roles", multiple=True, type=click.Choice([one.value for one in ConsoleRole]),
    help="What the person is there for; may be given several times.",
)  # fmt: skip
@click.option(
    "--patient", "patients", multiple=True, metavar="CX", callback=parsed_by(_patient),
    help="Nobody but this patient is seen by it, such as P1^^^&2.999.1.1&ISO; repeatable.",
)  # fmt: skip
@click.option(
    "--password-file",
    type=click.File("r"),
    help="Where the password is, - for the standard input; without it you are asked.",
)
def command(
    config: Config,
    action: str,
    name: str | None,
    roles: Sequence[str],
    patients: Sequence[str],
    password_file: TextIO | None,
) -> None:
    """List the accounts of the console, add one or change it, give it a password, or remove it.

    An account that is added again is like the new one. Whoever is logged in by an account that is
    changed or removed has to log in again.
    """
    if (action == "list") != (name is None):
        raise click.UsageError("list takes no NAME." if name else f"{action} takes a NAME.")
    if (action == "add") != bool(roles):
        raise click.UsageError("add, and nothing else, takes --role.")
    if patients and action != "add":
        raise click.UsageError("add, and nothing else, takes --patient.")
    with database_of(config) as database:
        accounts = Accounts(database)
        try:
            match action:
                case "list":
                    _list(accounts.all())
                case "add":
                    accounts.put(name or "", _password(password_file), roles, patients)
                case "password":
                    accounts.set_password(name or "", _password(password_file))
                case _:
                    accounts.remove(name or "")
        except (AccountError, WeakPassword) as error:
            sentence = str(error)
            raise click.ClickException(f"{sentence[:1].upper()}{sentence[1:]}.") from None


def _password(file: TextIO | None) -> str:
    if file is not None:
        return file.read().rstrip("\r\n")
    return str(click.prompt("Password", hide_input=True, confirmation_prompt=True))


def _list(accounts: Sequence[Account]) -> None:
    if not accounts:
        click.echo("There are no accounts.")
        return
    print_table(_HEADINGS, map(_row, accounts))


def _row(one: Account) -> tuple[str, ...]:
    since = datetime.fromtimestamp(one.created / 1000, UTC).strftime("%Y-%m-%d")
    return one.name, ", ".join(one.roles), printable(", ".join(one.patients)), since
