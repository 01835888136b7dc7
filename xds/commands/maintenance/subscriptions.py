"""`xds subscriptions`: who is told of what, how it fares, and what an operator can do about it."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import Final

import click

from xds.commands.flags import with_config
from xds.commands.maintenance.maintained import database_of
from xds.commands.terminal import moment, print_table, printable
from xds.config import Config
from xds.database.access import Database
from xds.metadata.criteria import in_words
from xds.notification import operations
from xds.notification.model import Subscription, SubscriptionState, UnknownSubscription, WrongState
from xds.notification.operations import SubscriptionHealth
from xds.notification.subscriptions import Subscriptions

_HEADINGS: Final = (
    *("number", "state", "protocol", "told", "waiting", "oldest", "failed", "why", "topic"),
    "target",
)
_ACTIONS: Final = ("list", "show", "pause", "resume", "replay", "end")
_BY_OPERATOR: Final = "ended by an operator"


@click.command("subscriptions")
@with_config(
    *("data", "database", "notification_attempts", "notification_days", "notification_kept_days")
)
@click.argument("action", type=click.Choice(_ACTIONS), default="list")
@click.argument("name", metavar="[SUBSCRIPTION]", required=False)
@click.option("--from", "first", type=click.IntRange(1), help="The first number, for replay.")
@click.option(
    "--state",
    "states",
    multiple=True,
    type=click.Choice([one.value for one in SubscriptionState]),
    help="Only those in this state, for list; may be given several times.",
)
@click.option("--most", type=click.IntRange(1), default=1_000, show_default=True, help="For list.")
@click.option("--json", "as_json", is_flag=True, help="A JSON object a line, for programs.")
def command(
    config: Config,
    action: str,
    name: str | None,
    first: int | None,
    states: tuple[str, ...],
    most: int,
    as_json: bool,
) -> None:
    """List subscriptions, those first whose notifications wait longest; show one, or act on it.

    SUBSCRIPTION is its number in the list, or its id. pause keeps what happens and sends nothing;
    resume sends what was kept, and goes on; replay sends all --from a number again, in order and
    with the same ids; end is for good. All may be done while the servers serve. What is shown of
    one names patients, but never its secrets.
    """
    if action != "list" and name is None:
        raise click.UsageError(f"{action} takes a SUBSCRIPTION.")
    if (action == "replay") != (first is not None):
        raise click.UsageError("replay, and nothing else, takes --from.")
    with database_of(config) as database:
        if action == "list":
            _list(database, states, most, as_json=as_json)
            return
        found = _found(database, name or "")
        subscriptions = Subscriptions.open(config, database)
        if action == "show":
            _show(subscriptions, found, as_json=as_json)
            return
        _act(subscriptions, action, found.id, first or 0)
        click.echo(f"Subscription {found.key}: {_found(database, found.id).state}.")


def _list(database: Database, states: tuple[str, ...], most: int, *, as_json: bool) -> None:
    with database.read() as connection:
        found = operations.health(connection, states=states or None, most=most)
    if as_json:
        for one in found:
            click.echo(json.dumps(_plain(one)))
    elif found:
        print_table(_HEADINGS, map(_row, found))
    else:
        click.echo("There are no subscriptions.")


def _plain(one: SubscriptionHealth) -> dict[str, object]:
    told = asdict(one)
    del told["address"], told["id"]
    return {**told, "target": one.origin, "waiting": one.waiting}


def _row(one: SubscriptionHealth) -> tuple[str, ...]:
    return (
        *(str(one.key), one.state, one.protocol, str(one.delivered), str(one.waiting)),
        *(moment(one.oldest), str(one.attempts), one.error or one.reason, one.topic),
        one.origin or "fetched",
    )


def _found(database: Database, name: str) -> SubscriptionHealth:
    with database.read() as connection:
        found = operations.of_key(connection, name)
    if found is None:
        raise click.ClickException("There is no such subscription.")
    return found


def _act(subscriptions: Subscriptions, action: str, subscription_id: str, first: int) -> None:
    try:
        match action:
            case "pause":
                subscriptions.pause(subscription_id)
            case "resume":
                subscriptions.resume(subscription_id)
            case "replay":
                subscriptions.replay(subscription_id, first)
            case _:
                subscriptions.end(subscription_id, _BY_OPERATOR)
    except UnknownSubscription:
        raise click.ClickException("The subscription has ended.") from None
    except WrongState as error:
        raise click.ClickException(
            f"The subscription is {error}: {action} is not for it."
        ) from None


def _show(subscriptions: Subscriptions, health: SubscriptionHealth, *, as_json: bool) -> None:
    one = subscriptions.get(health.id)
    if one is None:  # removed in between
        raise click.ClickException("There is no such subscription.")
    lines = dict(_described(one, health))
    if as_json:
        click.echo(json.dumps(lines))
        return
    width = max(map(len, lines))
    for name, value in lines.items():
        click.echo(f"{name:<{width}}  {printable(value)}")


def _described(one: Subscription, health: SubscriptionHealth) -> Iterator[tuple[str, str]]:
    yield "number", str(one.key)
    yield "id", one.id
    yield "state", f"{one.state.value} ({one.reason})" if one.reason else one.state.value
    yield "protocol", one.protocol
    yield "topic", one.topic.name
    yield "of", f"{one.topic.kind.KIND}: {', '.join(sorted(one.topic.changes))}"
    yield "filter", in_words(one.filter) or "anything"
    yield "owner", one.owner
    yield "target", one.address or "fetched"
    secrets = [f"header {name}" for name in one.header_names] or ["kept" if one.has_secrets else ""]
    yield "secrets", ", ".join(secrets) or "none"
    yield "created", moment(one.created)
    yield "ends", moment(one.ends) or "never"
    yield "happened", str(one.numbered)
    yield "told", str(one.delivered)
    yield "waiting since", moment(health.oldest) or "nothing waits"
    yield "failed attempts", str(health.attempts)
    yield "last error", health.error or "none"
    yield "next attempt", moment(health.due) if health.attempts else ""
