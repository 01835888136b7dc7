"""docs/monitoring.md names every metric that the program has, with its labels, and no other."""

import re
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter

from tests.ports import free_port
from tests.serving import Server, serving
from tests.waiting import PATIENCE, until
from xds import channels, subscribers
from xds.config import Config
from xds.database.access import Database
from xds.messaging import measuring as messages_measuring
from xds.messaging.outbound import measuring as outbound_measuring
from xds.messaging.outbound.destination import Destination
from xds.notification import measuring
from xds.registry import schema
from xds.security.interceptors import Result
from xds.telemetry import server_metrics
from xds.telemetry.metrics import Metrics

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "monitoring.md").read_text()


_OF_SEVERAL = {"pid"}
"""A label that is there where several processes count, as in a server."""


def rows(first: str) -> dict[str, list[str]]:
    """Return the cells of the rows of a table, by their first."""
    table = PAGE[PAGE.index(f"| {first} |") :].partition("\n\n")[0]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]
    return {one[0].strip("`"): one[1:] for one in cells[2:]}


@contextmanager
def everything(tmp_path: Path) -> Iterator[Metrics]:
    """Give metrics with all that a server may watch, for the length of a block."""
    config = Config(data=tmp_path, async_reply_to="http://127.0.0.1:9/")
    metrics = Metrics()
    metrics.watch_spool(lambda: (0, 0))
    metrics.watch_wal(lambda: 0)
    server_metrics.watch(metrics, config)
    database = Database(config.database_url)
    schema.migrate(database)
    channels.watch(metrics, database, ["soap-reply"])
    subscribers.watch(metrics, database)
    measuring.watch(metrics, database)
    messages_measuring.watch(metrics, database)
    shared_record = Destination(name="shared-record", address="mllp://127.0.0.1:9")
    outbound_measuring.watch(metrics, database, [shared_record])
    yield metrics
    database.close()


def test_every_metric_is_named_with_its_labels(tmp_path: Path) -> None:
    with everything(tmp_path) as metrics:
        _, text = metrics.render()
    kinds = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text.decode(), re.MULTILINE))
    named = rows("metric")
    assert {name for name in kinds if not name.endswith("_created")} == set(named)
    for name, (labels, meaning) in named.items():
        assert meaning
        for label in set(re.findall(r"`(\w+)`", labels)) - _OF_SEVERAL:
            samples = re.findall(rf"^{name}\w*{{(.*)}} ", text.decode(), re.MULTILINE)
            assert all(f'{label}="' in one for one in samples), (name, label)


def test_labels_are_those_of_the_program(tmp_path: Path) -> None:
    with everything(tmp_path) as metrics:
        declared = {
            next(iter(family.describe())).name: set(family._labelnames)
            for family in metrics._registry._collector_to_names
            if isinstance(family, Counter)
        }
    named = {name.removesuffix("_total"): labels for name, (labels, _) in rows("metric").items()}
    assert declared
    for name, labels in declared.items():
        assert set(re.findall(r"`(\w+)`", named[name])) == labels
    assert isinstance(metrics._registry, CollectorRegistry)


def test_every_outcome_is_named() -> None:
    assert set(rows("outcome")) == set(Result)


_FLAVOUR = """
extends = "generic"
acknowledge_to = "mllp://127.0.0.1:9"
[[match]]
application = "ENGINE"
"""


def labelled(server: Server, metric: str, label: str) -> set[str]:
    """Return the values of a label."""
    with urllib.request.urlopen(f"{server.url}/metrics", timeout=PATIENCE) as answer:
        return set(re.findall(rf'^{metric}{{{label}="(.*?)"', answer.read().decode(), re.MULTILINE))


def test_every_channel_and_subscriber_is_named(tmp_path: Path) -> None:
    """By a server whose options have all: a new row may need one more here."""
    (tmp_path / "flavours").mkdir()
    (tmp_path / "flavours" / "engine.toml").write_text(_FLAVOUR)
    (tmp_path / "forms.toml").write_text('[[on_demand]]\nform = "pdf"\n')
    options = {
        "metrics": "yes",
        "mllp_port": str(free_port()),
        "flavours": str(tmp_path / "flavours"),
        "destinations": str(ROOT / "fixtures" / "destinations.toml"),
        "document_forms": str(tmp_path / "forms.toml"),
        "observations": "read",
        "audit": "on",
        "audit_syslog": "tcp://127.0.0.1:9",
        "async_reply_to": "http://127.0.0.1:9/",
        "message_response_targets": "http://127.0.0.1:9/",
        "notification_targets": "http://127.0.0.1:9/",
    }
    of = subscribers
    count = sum(map(len, (of.OF_METRICS, of.OF_NOTIFICATIONS, of.OF_OPTIONS, of.OF_DOMAINS)))
    with serving(tmp_path / "data", options) as server:
        found = until(
            lambda: labelled(server, "xds_subscriber_waiting_events", "subscriber"),
            lambda names: len(names) >= count,
        )
        sends = labelled(server, "xds_outgoing_waiting_messages", "channel")
    assert len(sends) == len(channels.CHANNELS)
    assert len(found) == count
    assert set(rows("channel")) == sends
    assert set(rows("subscriber")) == found
