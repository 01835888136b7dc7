"""`xds load`: fill an empty registry; the population is in ``bench/`` of a checkout."""

import sys
from pathlib import Path

import click

_CHECKOUT = Path(__file__).parents[3]

if (_CHECKOUT / "bench" / "load").is_dir():
    sys.path.append(str(_CHECKOUT))
    from bench.load.command import command as command
else:

    @click.command(
        "load", context_settings={"ignore_unknown_options": True, "allow_extra_args": True}
    )
    def command() -> None:
        """Fill an empty registry with a population, from a checkout of the sources."""
        raise click.ClickException(
            "The population is not installed with the server. Get the sources, install them by "
            "`pip install --editable .`, and call `xds load` of that environment."
        )
