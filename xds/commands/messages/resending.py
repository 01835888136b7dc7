"""`xds messages resend`: messages are filed again."""

import click

from xds.commands.flags import with_config
from xds.commands.messages.recorded import acting, tell
from xds.config import Config
from xds.messaging import operations


@click.command("resend")
@with_config()
@click.argument("names", metavar="MESSAGE...", nargs=-1, required=True)
def command(config: Config, names: tuple[str, ...]) -> None:
    """File messages again as they came, after what refused them was mended."""
    with acting(config) as operating:
        for name in names:
            with operating.filer.domain.database.read() as connection:
                found = operations.one(connection, name)
            tell(name, operating.resend(found))
