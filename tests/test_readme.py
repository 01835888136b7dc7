"""README.md: the commands of its section on messages, run as they are written.

Only addresses are others: those of a server and a receiver that the test starts.
"""

import os
import re
import shlex
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ports import free_port
from tests.serving import serving
from tests.waiting import PATIENCE

ROOT = Path(__file__).parents[1]
SECTION = (ROOT / "README.md").read_text().partition("## Messages in three commands\n")[2]
SECTION = SECTION.partition("\n## ")[0]
PROGRAM = f"{shlex.quote(sys.executable)} -m xds"


@pytest.fixture
def addresses(tmp_path: Path) -> Iterator[dict[str, str]]:
    """Serve as the section says; give its addresses and what is there in their place."""
    options = re.findall(r"--(\w+) (fixtures/\S+?)\"", SECTION)
    assert [name for name, _ in options] == ["destinations"]
    receiver, feed = free_port(), free_port()
    destinations = tmp_path / "destinations.toml"
    text = (ROOT / options[0][1]).read_text()
    assert text.count("127.0.0.1:2576") == 1
    destinations.write_text(text.replace("127.0.0.1:2576", f"127.0.0.1:{receiver}"))
    given = {"mllp_port": str(feed), "destinations": str(destinations)}
    with serving(tmp_path / "data", given) as server:
        yield {
            "http://127.0.0.1:8080": server.url,
            "--mllp-port 2576": f"--port 0 --count 1 --mllp-port {receiver}",
            "XDS_CLIENT_URL": server.url,
            "XDS_CLIENT_MESSAGES": f"mllp://127.0.0.1:{feed}",
        }


def test_a_report_comes_is_found_and_goes_out(addresses: dict[str, str]) -> None:
    send, find, read = re.findall(r"(?m)^    (\S.+)$", SECTION)
    environment = {**os.environ, **{k: v for k, v in addresses.items() if k.isupper()}}

    def here(command: str) -> str:
        for written, place in addresses.items():
            command = command.replace(written, place)
        return command.replace(".venv/bin/xds", PROGRAM)

    def run(command: str) -> str:
        done = subprocess.run(
            shlex.split(here(command)),
            cwd=ROOT, env=environment, capture_output=True, text=True, timeout=PATIENCE,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    (listen,) = re.findall(r"`(\.venv/bin/xds listen [^`]*)`", SECTION)
    with subprocess.Popen(
        shlex.split(here(listen)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as receiver:
        assert receiver.stderr is not None
        assert "mllp://" in receiver.stderr.readline() + receiver.stderr.readline()
        try:
            assert " AA taken, message C-1" in run(send)
            assert "Biopsy report" in run(find)
            (url,) = re.findall(r"'(http\S+)'", here(read))
            with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
                assert b'"title": "Biopsy report"' in answer.read()
            shown, _ = receiver.communicate(timeout=PATIENCE)
        finally:
            receiver.kill()
    assert "MSH-9 message type: MDM^T02" in shown
    assert "TXA-25 title: Biopsy report" in shown
