"""`make bench`, which is `python -m bench`: measure a server of this project on this machine."""

import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path

import click

from bench import against as other_commit
from bench import crash, failures, hostile, machine
from bench.cases import CASES, UNDER_TRUST, Case
from bench.deployment import CLIENTS, Deployment, deployment, trusted
from bench.figures import Figure, Result, head, row
from bench.slow_sync import slower_syncs

_NAMES = [case.name for case in CASES]


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument(
    "names",
    nargs=-1,
    type=click.Choice([*_NAMES, "crash", "failures", "hostile"]),
    metavar="[NAME]...",
)
@click.option("--rounds", default=3, show_default=True, help="How often to measure each thing.")
@click.option("--seconds", default=2.0, show_default=True, help="How long each load lasts.")
@click.option(
    "--folder",
    default="build",
    show_default=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Where to make the folder for all data, which is removed at the end; a disk.",
)
@click.option(
    "--database",
    metavar="URL",
    help="Where to register: a database of one's own, or `postgresql` to start one; else SQLite.",
)
@click.option(
    "--documents",
    metavar="URL",
    help="Where documents go: a bucket, reached as XDS_DOCUMENTS_OPTIONS says, or `s3` to start "
    "OpenStack Swift; else a folder.",
)
@click.option(
    "--against",
    metavar="COMMIT",
    help="Measure another commit in the same rounds, and tell how many times as good this one is.",
)
@click.option(
    "--sync-delay",
    default=0,
    show_default=True,
    metavar="MILLISECONDS",
    help="Simulate a disk whose every sync takes so much longer.",
)
@click.option(
    "--trust/--no-trust",
    default=True,
    show_default=True,
    help="Measure rates with TLS, required assertions and tokens, a policy and audit as well.",
)
def main(
    names: tuple[str, ...],
    rounds: int,
    seconds: float,
    folder: Path,
    database: str | None,
    documents: str | None,
    against: str | None,
    sync_delay: int,
    trust: bool,
) -> None:
    """Measure everything, or what is named: see bench/cases.py.

    Or `crash`, the test of crashes; or `failures`, where a process, the database, the store or the
    disk fails under load; or `hostile`, which tells memory after 100,000 hostile requests.

    What the figures mean: "reached" is the median of all rounds. The yardstick is measured in the
    same rounds: for submissions, the bytes of each request written and fsynced and one SQLite row
    committed; for all else, a bare WSGI application under the same server that takes and gives as
    many bytes; for documents in a bucket, plain puts and gets of as many. "server" and "client"
    are the processor time of a request at both ends, which share the processors of this machine.
    With --against, the line after each tells how many times as good this commit is as the other,
    round by round; its yardstick, waits and processor time are those of the other.
    The last line of a rate is a server that trusts nobody, beside the first line of its rounds.
    """
    folder.mkdir(parents=True, exist_ok=True)
    disk = machine.require_disk(folder)
    if "crash" in names:
        crash.main(folder)
    if "failures" in names:
        failures.main(folder.absolute())
    if "hostile" in names:
        raise SystemExit(hostile.main(folder))
    click.echo(f"{machine.describe()}; {disk}; {CLIENTS} client processes; {rounds} rounds")
    began = time.monotonic(), machine.foreign_seconds()
    with (
        slower_syncs(sync_delay),
        deployment(folder, seconds, database, documents) as deployed,
        trusted(deployed) if trust else nullcontext() as guarded,
        other_commit.served(against, deployed) if against else nullcontext() as other,
    ):
        click.echo(head())
        for case in CASES:
            if not names or case.name in names:
                results = _measured(case, rounds, deployed, guarded, other, against or "")
                click.echo("\n".join(map(row, results)))
    click.echo(_in_the_end(*began))


def _in_the_end(began: float, foreign: float) -> str:
    """Tell how long all took, and how much of the machine others used meanwhile."""
    seconds = time.monotonic() - began
    share = (machine.foreign_seconds() - foreign) / (seconds * machine.processors())
    return f"{seconds:.0f} s; other processes used {share:.0%} of the processors"


def _measured(
    case: Case,
    rounds: int,
    deployed: Deployment,
    guarded: Deployment | None,
    other: Deployment | None,
    commit: str,
) -> Sequence[Result]:
    figures: list[Sequence[Figure]] = []
    elsewhere: list[Sequence[Figure]] = []
    under_trust: list[Figure] = []
    for _ in range(rounds):
        figures.append(case.run(deployed))
        if other is not None:
            elsewhere.append(case.run(other))
        if guarded is not None and case.under_trust:
            (found,) = case.run(guarded)
            under_trust.append(replace(found, yardstick=figures[-1][0].value))
    by_measure = list(zip(*figures, strict=True))
    results = list(map(Result, case.measures, by_measure))
    if elsewhere:
        there = zip(*elsewhere, strict=True)
        compared = map(partial(other_commit.compared, commit), case.measures, by_measure, there)
        results = [one for pair in zip(results, compared, strict=True) for one in pair]
    return [*results, Result(UNDER_TRUST, under_trust)] if under_trust else results


if __name__ == "__main__":
    main(prog_name="python -m bench")
