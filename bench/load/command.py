"""`xds load`: fill an empty registry with a population."""

import multiprocessing
import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import partial

import click

from bench.load import random_values
from bench.load.bulk import Bulk
from bench.load.filling import NotEmpty, filling
from bench.load.generator import MEAN, Block, Population
from xds.commands.flags import with_config
from xds.commands.terminal import counted, print_table
from xds.config import Config
from xds.database.access import Database
from xds.database.errors import DatabaseUnavailable
from xds.registry import schema


@click.command("load")
@with_config("data", "database", "assigning_authority")
@click.option(
    "--entries", type=click.IntRange(1), required=True, help="DocumentEntries to register."
)
@click.option(
    "--patients",
    type=click.IntRange(1),
    help=f"Patients that they are of.  [default: one for {MEAN}]",
)
@click.option("--seed", default=1, show_default=True, help="The same seed makes the same registry.")
@click.option(
    "--processes",
    type=click.IntRange(1),
    default=lambda: os.cpu_count() or 1,
    help="Processes that make and copy.  [default: one a core]",
)
def command(config: Config, entries: int, patients: int | None, seed: int, processes: int) -> None:
    """Fill an empty registry with patients and the metadata of their documents.

    Give it a data folder of its own (--data), or an empty database, for only such is filled.
    All is as if it had been registered over two years, one submission after the other, but it is
    copied straight into the tables: a million entries take some minutes. The documents themselves
    are not made: the entries name a repository that is not there (2.999.1.30), so `xds verify` has
    nothing to say of them. No server may be at work on the database meanwhile. A load that is
    broken off leaves a database that no program serves; it has to be dropped.
    """
    population = Population(
        entries,
        min(patients or max(entries // MEAN, 1), entries),
        seed,
        authority=config.assigning_authority or random_values.AUTHORITY,
    )
    try:
        _load(config.database_url, population, processes)
    except NotEmpty as error:
        raise click.ClickException(
            f"Only an empty registry is filled, and here {error}. Name a new folder by --data, or "
            "an empty database by --database."
        ) from None
    except KeyboardInterrupt:
        raise click.ClickException(
            "It was broken off. Drop the database, or its file, and make it anew."
        ) from None
    except DatabaseUnavailable as error:
        raise click.ClickException(f"The database cannot be filled: {error}.") from None


def _load(url: str, population: Population, processes: int) -> None:
    began = time.monotonic()
    database = Database(url, connections=2, patience=None)
    try:
        schema.prepare(database)
        with filling(database) as finish:
            with counted("entries", population.entries) as tell:
                for done in _filled(url, population, processes):
                    tell(done)
            copied = time.monotonic()
            steps = list(finish.steps)
            with counted("indexes", len(steps)) as tell:
                for step in steps:
                    step()
                    tell(1)
    finally:
        database.close()
    ended = time.monotonic()
    print_table(
        ("what", "number"),
        [
            ("DocumentEntries", str(population.entries)),
            ("patients", str(population.patients)),
            ("seconds to copy", f"{copied - began:.0f}"),
            ("seconds for indexes", f"{ended - copied:.0f}"),
        ],
    )


def _filled(url: str, population: Population, processes: int) -> Iterator[int]:
    """Fill in all blocks, several at once, and yield how many entries each had."""
    if processes == 1:
        yield from (_fill(url, block) for block in population.blocks())
        return
    spawn = multiprocessing.get_context("spawn")
    # who is told to stop ends the others: an interrupt from the keyboard reaches all at once
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with ProcessPoolExecutor(processes, spawn, initializer=_heed_no_interrupt) as pool:
        try:
            for done in as_completed([pool.submit(_fill, url, one) for one in population.blocks()]):
                yield done.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _heed_no_interrupt() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _fill(url: str, block: Block) -> int:
    """Make one block, and copy it into the tables."""
    new_uuid = partial(random_values.uuid, block.chance("inherited"))
    bulk = Bulk(block.first, block.first_patient, new_uuid)
    for one in block.registrations():
        bulk.register(one.drafts, one.patient_id, one.now)
    database = Database(url, connections=1, patience=None)
    try:
        with database.write() as connection:
            bulk.write(connection)
    finally:
        database.close()
    return block.entries
