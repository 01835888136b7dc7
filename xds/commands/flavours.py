"""`xds flavours`: how messages of each sender are read, or all that one flavour says."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from typing import Final

import click

from xds.commands.flags import with_config
from xds.commands.terminal import print_json, print_table
from xds.config import Config
from xds.messaging.flavours.flavour import Flavour
from xds.messaging.flavours.reading import FlavourError, read_flavours
from xds.messaging.flavours.table import FlavourTable
from xds.metadata.objects import Code

_HEADINGS: Final = ("name", "inherits", "from", "matches")


@click.command("flavours")
@with_config("flavours")
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="JSON, for programs.")
def command(config: Config, name: str | None, as_json: bool) -> None:
    """List the flavours in the order in which they are tried: the first one that matches counts.

    With the NAME of one, show every value that it has, its own and those it inherits.
    """
    try:
        table = read_flavours(config.flavours)
    except FlavourError as error:
        raise click.ClickException(str(error)) from None
    if name is None:
        _list(table, as_json=as_json)
    else:
        _show(table, name, as_json=as_json)


def _list(table: FlavourTable, *, as_json: bool) -> None:
    rows = [
        (row.flavour.name, row.extends, row.source, "; ".join(map(str, row.matches)))
        for row in table.rows
    ]
    if as_json:
        print_json([dict(zip(_HEADINGS, row, strict=True)) for row in rows])
    else:
        print_table(_HEADINGS, rows)


def _show(table: FlavourTable, name: str, *, as_json: bool) -> None:
    try:
        flavour = table.row(name).flavour
    except KeyError:
        raise no_such(name, table) from None
    if as_json:
        print_json(asdict(flavour))
        return
    for field in fields(Flavour):
        value = getattr(flavour, field.name)
        if isinstance(value, Mapping):
            click.echo(f"{field.name}:")
            for key, one in value.items():
                click.echo(f"  {key} = {_text(one)}")
        else:
            click.echo(f"{field.name} = {_text(value)}")


def no_such(name: str, table: FlavourTable) -> click.ClickException:
    """Return what is said of a name that no flavour has."""
    known = ", ".join(row.flavour.name for row in table.rows)
    return click.ClickException(f"there is no flavour {name}; there are {known}")


def _text(value: object) -> str:
    if isinstance(value, Code):
        return f"{value.code}^{value.display_name}^{value.coding_scheme}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(_text(one) or '""' for one in value)
    return "" if value is None else str(value)
