"""`xds hold`: documents on legal hold, which nobody can remove."""

import click

from xds.commands.flags import with_config
from xds.commands.maintenance.maintained import database_of
from xds.commands.terminal import print_table, printable
from xds.config import Config
from xds.registry.registry import DocumentRegistry


@click.command("hold")
@with_config("data", "database")
@click.argument("unique_ids", metavar="[UNIQUE_ID]...", nargs=-1)
@click.option("--reason", default="", help="Why they are held, such as the number of a case.")
@click.option("--release", is_flag=True, help="End the hold in place of beginning it.")
def command(config: Config, unique_ids: tuple[str, ...], reason: str, release: bool) -> None:
    """Put documents on legal hold, or end it; without UNIQUE_ID, list those on hold.

    Neither they nor their metadata can be removed meanwhile, by whatever transaction. Documents are
    held by a code as well, where the option legal_hold_codes says so; these are not listed.
    Where registry and repository have databases of their own, mark a document at both: the registry
    then keeps the metadata, and the repository the bytes.
    """
    with database_of(config) as database:
        registry = DocumentRegistry(database=database)
        if not unique_ids:
            rows = [
                (one.at, printable(one.unique_id), printable(one.reason))
                for one in registry.holds()
            ]
            print_table(("since", "uniqueId", "reason"), rows)
        elif release:
            _release(registry, unique_ids)
        else:
            registry.hold(unique_ids, reason=reason)


def _release(registry: DocumentRegistry, unique_ids: tuple[str, ...]) -> None:
    ended = registry.release(unique_ids)
    if others := [one for one in unique_ids if one not in ended]:
        raise click.ClickException(f"Not on hold: {', '.join(map(printable, others))}.")
