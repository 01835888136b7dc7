"""`xds observations`: the structured results of a patient or a document, and filling them in."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Final

import click

from xds.commands.flags import with_config
from xds.commands.maintenance.maintained import database_of
from xds.commands.terminal import print_table
from xds.config import Config
from xds.content.observations import filling, finding
from xds.content.observations.finding import FoundObservation
from xds.database.access import Database
from xds.metadata import datatypes
from xds.metadata.criteria import equal
from xds.registry.queries.observations import WantedObservations
from xds.registry.queries.views import RegistryView
from xds.registry.queries.visibility import EVERYTHING
from xds.repository.store import StoreError

_HEADINGS: Final = (
    *("time", "name", "value", "unit", "range", "interpretation", "status", "specimen", "group"),
    *("code", "document"),
)


@click.command("observations")
@with_config(
    *("data", "database", "documents", "documents_options", "observations"),
    *("generate_defaults", "identifier_systems"),
)
@click.argument("action", type=click.Choice(("patient", "document", "fill")))
@click.argument("name", metavar="[PATIENT|UNIQUE_ID]", required=False)
@click.option(
    "--code",
    "codes",
    multiple=True,
    help="Only results of this code, code or code^^codingScheme; may be given several times.",
)
@click.option("--since", default="", help="Only results of this time or later (YYYY[MM[DD...]]).")
@click.option("--until", default="", help="Only results before this time.")
@click.option("--earlier", is_flag=True, help="Those as well that a document only cites.")
@click.option("--most", type=click.IntRange(1), default=1_000, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="A JSON object a line, for programs.")
def command(
    config: Config,
    action: str,
    name: str | None,
    codes: tuple[str, ...],
    since: str,
    until: str,
    earlier: bool,
    most: int,
    as_json: bool,
) -> None:
    """List the structured results of a PATIENT (CX) or of the document with a UNIQUE_ID.

    Listed are those of current documents, the latest first. They are kept where the option
    observations is read. fill reads the documents that were registered before it was, and those
    that a newer program reads better; servers may serve meanwhile.
    """
    if (action == "fill") == (name is not None):
        raise click.UsageError("patient takes a PATIENT, document a UNIQUE_ID, and fill nothing.")
    with database_of(config) as database:
        if action == "fill":
            _fill(config, database)
            return
        wanted = WantedObservations(
            codes=tuple(map(_code, codes)),
            since=_time(since, "--since"),
            until=_time(until, "--until"),
            earlier=earlier,
        )
        _list(_found(database, action, name or "", wanted, most), config, as_json=as_json)


def _found(
    database: Database, action: str, name: str, wanted: WantedObservations, most: int
) -> list[FoundObservation]:
    attribute = "patient_id" if action == "patient" else "unique_id"
    with database.read() as connection:
        view = RegistryView(connection, most, EVERYTHING)
        return finding.find(view, [equal(attribute, [name])], wanted, most=most)


def _code(said: str) -> tuple[str, str]:
    code, _, scheme = said.partition("^^")
    return code, scheme


def _time(said: str, option: str) -> str:
    try:
        if said:
            datatypes.check_dtm(said)
    except ValueError:
        raise click.UsageError(f"{option}: not a time of the form YYYY[MM[DD[hh...]]].") from None
    return said


def _fill(config: Config, database: Database) -> None:
    if config.observations == "off":
        raise click.ClickException("Results are not kept: the option observations is off.")
    outcomes: Counter[str] = Counter()
    results = 0
    try:
        for one in filling.fill(config, database):
            outcomes[one.outcome] += 1
            results += len(one.observations)
    except StoreError as error:
        raise click.ClickException(f"The document store is not available: {error}.") from None
    told = ", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items()))
    click.echo(f"{outcomes.total()} documents ({told or 'none'}), {results} results.")


def _list(found: Sequence[FoundObservation], config: Config, *, as_json: bool) -> None:
    if as_json:
        for one in found:
            click.echo(json.dumps(asdict(one), ensure_ascii=False))
    elif found:
        print_table(_HEADINGS, map(_row, found))
    elif config.observations == "off":
        click.echo("There are no results: the option observations is off.")
    else:
        click.echo("There are no results.")


def _row(found: FoundObservation) -> tuple[str, ...]:
    one = found.observation
    values = "; ".join(value.text for value in one.values)
    codes = [*filter(None, (one.code,)), *one.translations]
    return (
        one.time,
        f"{one.name} (earlier)" if one.is_earlier else one.name,
        values,
        one.values[0].unit if one.values else "",
        one.reference_range,
        " ".join(code.code for code in one.interpretation),
        one.status,
        one.specimen.text if one.specimen is not None else "",
        one.group,
        str(codes[0]) if codes else "",
        found.unique_id,
    )
