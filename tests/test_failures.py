"""A part fails under load, with two processes on one state; `python -m bench failures` for longer.

What clients are told while it lasts, that they succeed when they try again, that nothing which was
acknowledged is lost, and that nothing has to be started anew.
"""

import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from bench.failures import FAILURES, NotHere, run
from tests.waiting import PATIENCE

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="needs /proc"),
]

SECONDS = 0.5
BROKEN_OFF = "connection broken off"
BUSY = {
    "ITI-41": {"XDSRepositoryBusy"},
    "ITI-43": {"XDSRepositoryBusy"},
    "ITI-18": {"XDSRegistryBusy"},
    "ITI-105": {"503 transient"},
    "ITI-67": {"503 transient"},
}
BUSY_STORE = {name: BUSY[name] for name in ("ITI-41", "ITI-43", "ITI-105")}
FULL = {"ITI-41": {"XDSRepositoryOutOfResources"}, "ITI-105": {"507 no-store"}}
TOLD: Mapping[str, Mapping[str, set[str]]] = {
    "kill": {},
    "crash": BUSY,
    "store": BUSY_STORE,
    "disk": FULL,
}
"""What clients may be told of each failure, besides that their attempt before was registered."""


WITH_SEVERAL = ("kill", "store")
"""What takes longest, and what other tests look at in part: run with --processes=2."""


@pytest.mark.parametrize("name", TOLD)
def test_a_failure_under_load_is_told_and_loses_nothing(
    name: str, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    if name in WITH_SEVERAL and pytestconfig.getoption("--processes") == 1:
        pytest.skip("is run with --processes=2")
    (failure,) = (one for one in FAILURES if one.name == name)
    try:
        seen = run(failure, tmp_path, SECONDS)
    except NotHere as reason:
        pytest.skip(str(reason))
    assert seen.problems == []
    assert seen.report.registered >= len(seen.load.acknowledged) > 0
    told: dict[str, set[str]] = {}
    for transaction, outcome in seen.load.outcomes(seen.broken):
        told.setdefault(transaction, set()).add(outcome)
    for transaction, outcomes in told.items():
        allowed = {"success", "registered by the attempt before"}
        allowed |= TOLD[name].get(transaction, set())
        if name == "kill":
            allowed.add(BROKEN_OFF)
        assert outcomes <= allowed
    if name in ("store", "disk", "crash"):
        assert TOLD[name]["ITI-41"] <= told["ITI-41"]
    if name == "crash":  # besides what each of the two writers had under way, nothing is left
        assert seen.report.swept <= 4
    assert seen.longest() < PATIENCE
