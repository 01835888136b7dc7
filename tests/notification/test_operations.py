"""`xds subscriptions` and the metrics: how subscriptions fare, and what an operator can do."""

import json
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tests.databases import Databases
from tests.notification.engine import PATIENT, Engine
from tests.waiting import until
from xds.__main__ import main
from xds.notification import measuring
from xds.notification.model import Secrets, SubscriptionState
from xds.telemetry.metrics import Metrics

SECRETS = Secrets(headers={"Authorization": "Bearer s3cret"}, hmac_key="k3y", bearer="t0ken")


@pytest.fixture
def url(tmp_path: Path, databases: Databases) -> str:
    return databases.url(tmp_path)


def run(url: str, *arguments: str, fails: bool = False) -> str:
    result = CliRunner().invoke(main, ["subscriptions", "--database", url, *arguments])
    assert (result.exit_code != 0) is fails, result.output
    return result.output


def test_a_dead_target_is_listed_and_measured_and_no_patient_or_secret_is(
    it: Engine, url: str, log: list[MutableMapping[str, Any]]
) -> None:
    fine = it.subscribe("/fine")
    dead = it.subscribe("/dead?token=s3cret", secrets=SECRETS)
    it.receiver.refuse("/dead?token=s3cret", *[503] * 1000)
    with it.working():
        it.register()
        until(lambda: it.state(dead).state is SubscriptionState.ERROR)
        until(lambda: it.state(fine).delivered == 1)
        listed = run(url, "list", "--json")
        metrics = Metrics()
        measuring.watch(metrics, it.database)
        told = metrics.render()[1].decode()
    first, second = map(json.loads, listed.splitlines())
    assert (first["key"], first["state"], first["waiting"]) == (dead.key, "error", 1)
    assert first["error"] == "503"
    assert (second["key"], second["waiting"], second["oldest"]) == (fine.key, 0, None)
    labels = f'error="503",protocol="plain",subscription="{dead.key}"'
    assert f"xds_subscription_failures{{{labels}}}" in told
    assert 'xds_subscriptions{protocol="plain",state="error"} 1.0' in told
    for shown in (listed, told, str(log)):
        for secret in (PATIENT, "s3cret", "k3y", "t0ken", dead.id, "/dead"):
            assert secret not in shown


def test_one_is_shown_without_its_secrets(it: Engine, url: str) -> None:
    one = it.subscribe("/a", secrets=SECRETS)
    shown = run(url, "show", str(one.key))
    assert PATIENT in shown
    assert "header Authorization" in shown
    for secret in ("s3cret", "k3y", "t0ken"):
        assert secret not in shown
        assert secret not in repr(one)


def test_an_operator_pauses_resumes_replays_and_ends(it: Engine, url: str) -> None:
    one = it.subscribe("/a")
    with it.working():
        it.register()
        it.told()
        until(lambda: it.state(one).delivered == 1)
        assert run(url, "pause", str(one.key)) == f"Subscription {one.key}: paused.\n"
        assert "resume is not for it" not in run(url, "pause", one.id, fails=True)
        run(url, "resume", one.id)
        run(url, "replay", one.id, "--from", "1")
        assert [said["number"] for said in it.told("/a", 2)] == [1, 1]
        run(url, "end", one.id)
    assert "has ended" in run(url, "resume", one.id, fails=True)
    assert "no such" in run(url, "show", "4711", fails=True)
    assert it.state(one).state is SubscriptionState.ENDED
