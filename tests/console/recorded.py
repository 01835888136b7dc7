"""What the audit records have of logins, for tests."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from click.testing import CliRunner

from tests.serving import Server
from tests.waiting import until
from xds.__main__ import main


def now() -> str:
    """Return the time as records have it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def records(server: Server, **wanted: str) -> list[dict[str, Any]]:
    """Return the audit records that are there by now, newest first."""
    place = ["--data", str(server.data), "--database", server.database]
    told = [part for name, value in wanted.items() for part in (f"--{name}", value)]
    done = CliRunner().invoke(main, ["audit", "--format", "json", *place, *told])
    assert done.exit_code == 0, done.output
    return [json.loads(line) for line in done.stdout.splitlines()]


def await_records(
    server: Server, is_whole: Callable[[list[dict[str, Any]]], object], **wanted: str
) -> list[dict[str, Any]]:
    """Return audit records, newest first, once they are what is waited for.

    A server tells of itself a moment later, and other tests have been there before.
    """
    return until(lambda: records(server, **wanted), is_whole)


def login_since(server: Server, began: str) -> dict[str, Any]:
    """Return the latest record of a login or logout, once there is one since a time."""
    (found,) = await_records(
        server, lambda told: told and told[0]["at"] >= began, transaction="console", most="1"
    )
    return found


def require_login(server: Server, began: str, user: str = "") -> None:
    """Require that somebody has logged in."""
    found = login_since(server, began)
    assert (found["event_type"][2], found["outcome"]) == ("Login", 0)
    assert not user or found["actor"]["user_name"] == user


def require_refusal(server: Server, began: str, told: str) -> None:
    """Require that somebody was not let in, for a reason."""
    found = login_since(server, began)
    assert (found["event_type"][2], found["outcome"]) == ("Login", 4)
    assert told.casefold() in found["description"].casefold()
