"""The commands that the README prints for FHIR work as they stand."""

import json
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.serving import serving

ROOT = Path(__file__).parent.parent.parent


@pytest.mark.slow
def test_the_commands_of_the_readme(tmp_path: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("needs curl")
    section = (ROOT / "README.md").read_text().partition("## FHIR in three commands\n")[2]
    lines = section.partition("\n## ")[0].splitlines()
    commands = [line for line in lines if line.startswith("    curl ")]
    with serving(tmp_path / "data") as server:
        here = [command.replace("http://127.0.0.1:8080", server.url) for command in commands]
        published, found, document = [
            subprocess.run(
                [*shlex.split(command), "-s", "--fail-with-body"],
                cwd=ROOT,
                capture_output=True,
                check=True,
            ).stdout
            for command in here
        ]
    statuses = [entry["response"]["status"] for entry in json.loads(published)["entry"]]
    assert [status[:3] for status in statuses] == ["201"] * 3
    (entry,) = json.loads(found)["entry"]
    (content,) = entry["resource"]["content"]
    assert content["attachment"]["url"] == here[2].split()[1]
    assert document.startswith(b"Discharge note.")
