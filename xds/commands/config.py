"""`xds config`: every option with its value and where it comes from."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import click

from xds.commands.files import wrong_files
from xds.commands.options import ConfigFailure, config_flags, human, load_or_exit
from xds.config import ConfigError, Option, explain, settings, unknown_environment

_SECRET: Final = re.compile("key|secret|token|credential|sas")
_PASSWORD: Final = re.compile(r"(?<=://)([^/@:]*):[^/@]*(?=@)")


@click.command("config")
@config_flags()
@click.option("--toml", is_flag=True, help="Print a TOML file with comments instead of a table.")
def command(flags: dict[str, Any], config_file: Path | None, toml: bool) -> None:
    """Show every option with its value and where it comes from.

    A flag comes before the environment, the environment before the file of --config. Reads every
    file that an option names; exits with 2 where one is missing or wrong.
    """
    try:
        options = explain(flags, config_file)
    except ConfigError as error:
        raise ConfigFailure(str(error)) from None
    if toml:
        click.echo("\n\n".join(map(_toml, options)))
    else:
        _print_table(options)
    for name in unknown_environment():
        click.echo(f"{name} is set, but is no option.", err=True)
    if wrong := wrong_files(load_or_exit(flags, config_file)):
        raise ConfigFailure("\n".join(wrong))


def _print_table(options: Iterable[Option]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("option", "value", "what it is"):
        table.add_column(heading, overflow="fold", no_wrap=heading == "option")
    for option in options:
        style = "" if option.source == "default" else "bold"
        table.add_row(
            Text.assemble((option.name, style), "\n", (option.environment, "dim")),
            Text.assemble((_shown(option), style), "\n", (_source(option), "dim")),
            option.help,
        )
    Console().print(table)


def _shown(option: Option) -> str:
    """Show a value, but no password: neither one in a URL nor one of an object store."""
    if option.value is None:
        return "unset"
    if option.name == "tls_key_password":
        return "***"
    text = human(option.value)
    if option.name == "documents_options":
        text = " ".join(
            f"{name}={'***' if _SECRET.search(name) else value}"
            for name, value in settings(text).items()
        )
    return _PASSWORD.sub(r"\1:***", text)


def _source(option: Option) -> str:
    return "default" if option.source == "default" else f"from {option.source}"


def _toml(option: Option) -> str:
    if option.value is None:
        line = f'# {option.name} = ""'
    else:
        text = str(option.value)
        value = text if isinstance(option.value, int) else _quoted(text)
        line = f"{'# ' if option.source == 'default' else ''}{option.name} = {value}"
    return f"# {option.help}\n{line}"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
