"""`xds messages correct`: another message in the place of a refused one."""

from pathlib import Path

import click

from xds.commands.flags import with_config
from xds.commands.messages.recorded import acting, tell
from xds.config import Config
from xds.messaging import operations


@click.command("correct")
@with_config()
@click.argument("name", metavar="MESSAGE")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
def command(config: Config, name: str, file: Path) -> None:
    """File what is in FILE in the place of a message that was refused; both are kept."""
    with acting(config) as operating:
        with operating.filer.domain.database.read() as connection:
            found = operations.one(connection, name)
        if found.state not in ("refused", "failed"):
            raise click.ClickException(
                f"The message is {found.state}: there is nothing to correct."
            )
        tell(name, operating.correct(found, [file.read_bytes()]))
