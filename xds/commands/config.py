"""`xds config`: every option with its value and where it comes from."""

import os
import shutil
import sys
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, Final

import click

from xds.commands.files import wrong_files
from xds.commands.flags import ConfigFailure, choices, config_flags, load_or_exit
from xds.commands.terminal import print_json, printable
from xds.config import (
    ConfigError,
    Option,
    explain,
    option_fields,
    unknown_environment,
)

_WIDEST_VALUE: Final = 30


@click.command("config")
@config_flags()
@click.option("--toml", "form", flag_value="toml", help="Print a TOML file with comments.")
@click.option("--json", "form", flag_value="json", help="Print a list of objects, one an option.")
def command(flags: dict[str, Any], config_file: Path | None, form: str | None) -> None:
    """Show every option with its value, by section; where one is set, also where that comes from.

    A flag comes before the environment, the environment before the file of --config. Reads every
    file that an option names; exits with 2 where one is missing or wrong, and says so in a line for
    each.
    """
    try:
        options = explain(flags, config_file)
    except ConfigError as error:
        raise ConfigFailure(str(error)) from None
    {None: _print_lines, "toml": _print_toml, "json": _print_json}[form](options)
    for name in unknown_environment():
        click.echo(f"{name} is set, but is no option.", err=True)
    if wrong := wrong_files(load_or_exit(flags, config_file)):
        raise ConfigFailure("\n".join(wrong))


def _print_lines(options: Sequence[Option]) -> None:
    """Print an option a line, cut where a terminal ends."""
    width = _terminal_width()
    names = max(len(option.name) for option in options)
    values = min(max(len(option.shown) for option in options), _WIDEST_VALUE)
    for number, (section, members) in enumerate(groupby(options, lambda option: option.section)):
        if number:
            click.echo()
        click.secho(section, bold=True)
        for option in members:
            value = option.shown if width is None else _cut(option.shown, values)
            line = f"  {option.name:{names}}  {value:{values}}  {_source(option)}{option.help}"
            is_set = option.source != "default"
            click.secho(printable(_cut(line, width)), bold=is_set)


def _terminal_width() -> int | None:
    """Return how wide lines may be; None where they are not for a terminal."""
    if sys.stdout.isatty() or os.environ.get("COLUMNS"):
        return shutil.get_terminal_size().columns
    return None


def _cut(text: str, width: int | None) -> str:
    return text if width is None or len(text) <= width else text[: width - 1] + "…"


def _print_json(options: Sequence[Option]) -> None:
    fields = option_fields()
    print_json(
        [
            {
                "name": option.name,
                "section": option.section,
                "value": _plain(option),
                "source": option.source,
                "environment": option.environment,
                "choices": list(choices(fields[option.name])) or None,
                "help": option.help,
            }
            for option in options
        ]
    )


def _plain(option: Option) -> object:
    """Return a value as JSON has it, without passwords."""
    value = option.value
    return value if value is None or isinstance(value, int | float) else option.shown


def _print_toml(options: Sequence[Option]) -> None:
    click.echo("\n\n".join(map(_toml, options)))


def _source(option: Option) -> str:
    return "" if option.source == "default" else f"(from {option.source}) "


def _toml(option: Option) -> str:
    if option.value is None:
        line = f'# {option.name} = ""'
    else:
        line = f"{'# ' if option.source == 'default' else ''}{option.name} = {_toml_value(option)}"
    return f"# {option.help}\n{line}"


def _toml_value(option: Option) -> str:
    """Write a value for a file in whatever folder."""
    if isinstance(option.value, int | float):
        return str(option.value)
    if isinstance(option.value, Path) and option.source != "default":
        return _quoted(str(option.value.absolute()))
    return _quoted(str(option.value))


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
