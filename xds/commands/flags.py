"""The options of xds/config.py as flags of a command."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import click
from pydantic import ByteSize
from pydantic.fields import FieldInfo

from xds.config import Config, ConfigError, flag_name, human, load, option_fields

_config_file = click.option(
    "--config",
    "config_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="TOML file with options; XDS_CONFIG names one too.",
)


def config_flags(*names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add --config and a flag for each option (all, if none is named) to a command.

    The command is handed `flags` and `config_file`, which xds.config.load takes.
    """
    chosen = names or tuple(option_fields())

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def gather(**given: Any) -> Any:
            flags = {name: given.pop(name) for name in chosen}
            return function(flags=flags, **given)

        command: Callable[..., Any] = gather
        for name in reversed(chosen):
            command = _flag(name, option_fields()[name])(command)
        return _config_file(command)

    return decorate


def with_config(*names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add the same flags; the command is handed the `config` that they and all sources make."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @config_flags(*names)
        @functools.wraps(function)
        def command(flags: dict[str, Any], config_file: Path | None, **given: Any) -> Any:
            return function(config=load_or_exit(flags, config_file), **given)

        return command

    return decorate


def load_or_exit(flags: dict[str, Any], config_file: Path | None) -> Config:
    """Load the configuration; where it is wrong, say so in a line for each option and exit."""
    try:
        return load(flags, config_file)
    except ConfigError as error:
        raise ConfigFailure(str(error)) from None


class ConfigFailure(click.ClickException):
    """The configuration is wrong."""

    exit_code = 2


def _flag(name: str, field: FieldInfo) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    # values go to the configuration as text: one place checks them, wherever they come from
    has_default = field.default is not None and field.default_factory is None
    default = f"  [default: {human(field.default)}]" if has_default else ""
    return click.option(
        flag_name(name), name, metavar=metavar(field), help=f"{field.description}{default}"
    )


def metavar(field: FieldInfo) -> str:
    """Name what an option takes: its choices, FILE, FOLDER, SIZE, NUMBER or TEXT."""
    if chosen := choices(field):
        return "[" + "|".join(chosen) + "]"
    for kind in (field.annotation, *get_args(field.annotation)):
        if kind is Path:
            # the one folder has a default, and no file has
            return "FILE" if field.default is None else "FOLDER"
        if isinstance(kind, type) and issubclass(kind, ByteSize):
            return "SIZE"
        if isinstance(kind, type) and issubclass(kind, int | float):
            return "NUMBER"
    return "TEXT"


def choices(field: FieldInfo) -> tuple[str, ...]:
    """Give the values that an option may have; none where they are not a list."""
    for kind in (field.annotation, *get_args(field.annotation)):
        if get_origin(kind) is Literal:
            return get_args(kind)
    return ()
