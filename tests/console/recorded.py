"""What the audit records have of logins, for tests."""

import json
import time
from datetime import UTC, datetime
from typing import Any

from click.testing import CliRunner

from tests.serving import Server
from xds.__main__ import main

_SECONDS = 20


def now() -> str:
    """Return the time as records have it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def login_since(server: Server, began: str) -> dict[str, Any]:
    """Return the latest record of a login or logout, once there is one since a time."""
    place = ["--data", str(server.data), "--database", server.database]
    command = ["audit", "--format", "json", "--transaction", "console", "--most", "1", *place]
    until = time.monotonic() + _SECONDS
    while time.monotonic() < until:
        done = CliRunner().invoke(main, command)
        assert done.exit_code == 0, done.output
        for line in done.stdout.splitlines():
            found: dict[str, Any] = json.loads(line)
            if found["at"] >= began:
                return found
        time.sleep(0.05)
    raise AssertionError("nothing was recorded")


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
