"""The alerts and the dashboard of deploy/, held to the metrics of the program and to docs."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

from tests.test_monitoring_page import PAGE, everything, rows

PACKAGES: Final = "prometheus"
ROOT: Final = Path(__file__).parent.parent
ALERTS: Final = (ROOT / "deploy" / "alerts.yml").read_text()
DASHBOARD: Final = json.loads((ROOT / "deploy" / "grafana.json").read_text())
_OF_PROMETHEUS: Final = {"instance", "job", "le"}


@pytest.fixture(scope="module")
def promtool() -> str:
    """Return where promtool is."""
    found = shutil.which("promtool")
    if found is None:
        pytest.skip(f"no promtool: as root on Debian, apt-get install {PACKAGES}")
    return found


def expressions() -> list[str]:
    """Return every expression of the dashboard, and the alerts as a whole."""
    panels = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
    return [target["expr"] for panel in panels for target in panel["targets"]] + [ALERTS]


def test_only_metrics_that_exist_are_asked_for_by_labels_that_they_have(tmp_path: Path) -> None:
    with everything(tmp_path) as metrics:
        _, told = metrics.render()
    kinds = dict(re.findall(r"^# TYPE (\S+) (\S+)$", told.decode(), re.MULTILINE))
    known = {name: labels for name, (labels, _) in rows("metric").items()}
    for name in [one for one, kind in kinds.items() if kind == "histogram"]:
        known |= {f"{name}_{part}": known[name] for part in ("bucket", "sum", "count")}
    asked = set()
    for expression in expressions():
        for name, matchers in re.findall(r"\b(xds_\w+)(?:\{([^}]*)\})?", expression):
            assert name in known, name
            asked.add(name)
            for label in re.findall(r"(\w+)\s*[!=]", matchers):
                assert label in _OF_PROMETHEUS or f"`{label}`" in known[name], (name, label)
    assert len(asked) > 20


def test_every_metric_is_on_the_dashboard() -> None:
    shown = " ".join(expressions()[:-1])
    assert [name for name in rows("metric") if name not in shown] == []
    titles = [panel["title"] for panel in DASHBOARD["panels"] if panel["type"] == "row"]
    assert len(titles) == 3


def test_the_page_says_of_every_alert_what_to_do() -> None:
    alerts = re.findall(r"^ +- alert: (\w+)$", ALERTS, re.MULTILINE)
    assert list(rows("alert")) == alerts
    assert all(meaning and doing for meaning, doing in rows("alert").values())


def test_counters_that_alerts_stand_on_begin_at_zero(tmp_path: Path) -> None:
    """Prometheus sees no increase in the first sample of a series."""
    with everything(tmp_path) as metrics:
        _, told = metrics.render()
    for name, label, value in re.findall(r'increase\((xds_\w+)\{(\w+)="(\w+)"\}', ALERTS):
        if name != "xds_transactions_total":
            assert f'{name}{{{label}="{value}"}} 0.0' in told.decode(), name


def test_promtool_takes_the_rules_and_the_configuration_of_the_page(
    promtool: str, tmp_path: Path
) -> None:
    scrape = re.search(r"^```yaml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert scrape
    (tmp_path / "prometheus.yml").write_text(scrape[1])
    (tmp_path / "alerts.yml").write_text(ALERTS)
    checked = run(promtool, "check", "config", str(tmp_path / "prometheus.yml"))
    count = ALERTS.count("- alert:")
    assert f"{count} rules found" in checked


def test_alerts_fire_when_they_should_and_not_before(promtool: str) -> None:
    assert "SUCCESS" in run(promtool, "test", "rules", str(ROOT / "tests" / "alerts.yml"))


def test_promtool_takes_the_expressions_of_the_dashboard(promtool: str, tmp_path: Path) -> None:
    records = [
        f"      - {{ record: 'a:{number}', expr: {json.dumps(one)} }}"
        for number, one in enumerate(expressions()[:-1])
    ]
    text = "\n".join(["groups:", "  - name: a", "    rules:", *records])
    file = tmp_path / "rules.yml"
    file.write_text(text.replace("$__rate_interval", "5m").replace("$instance", ".*"))
    assert f"{len(records)} rules found" in run(promtool, "check", "rules", str(file))


def run(*command: str) -> str:
    """Run a program that must succeed."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr
