"""What is installed, and what the command line costs before it does anything."""

import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from bench.dependencies import verdict

ROOT = Path(__file__).parent.parent
HEAVY = {"granian", "lxml", "pydantic", "rich", "spyne", "sqlalchemy", "structlog"}


def test_every_package_is_listed_in_setup_cfg() -> None:
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg")
    folders = [path.parent.relative_to(ROOT) for path in (ROOT / "xds").rglob("__init__.py")]
    beside = {"xds.docs", "xds.schemas", "xds.wsdl"}
    assert set(setup["options"]["packages"].split()) == beside | {
        ".".join(folder.parts) for folder in folders
    }


def test_the_licence_of_what_others_have_written_is_packaged() -> None:
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg")
    (licence,) = setup["metadata"]["license_files"].split()
    text = (ROOT / licence).read_text()
    assert "MIT License\n\nCopyright (c) 2019 NHS.UK\n" in text
    assert "The above copyright notice and this permission notice shall be included" in text
    patterns = setup["options.package_data"]["xds.console"].split(", ")
    within = (ROOT / licence).relative_to(ROOT / "xds" / "console")
    assert any(within.match(pattern) for pattern in patterns)
    styles = next((ROOT / "xds" / "console" / "static").glob("nhsuk-frontend-*.css")).read_text()
    assert "MIT licence, see LICENSE-nhsuk-frontend.txt" in styles[:300]


def test_the_list_of_commands_imports_nothing_heavy() -> None:
    code = "import sys, xds.__main__; print(*{name.partition('.')[0] for name in sys.modules})"
    imported = subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, text=True).split()
    assert HEAVY.isdisjoint(imported)


# --- dependencies --------------------------------------------------------------------------------


def pinned() -> dict[str, str]:
    """Return the version of each package of constraints.txt; each has hashes."""
    text = (ROOT / "constraints.txt").read_text().replace("\\\n", " ")
    found: dict[str, str] = {}
    for line in text.splitlines():
        requirement, *hashes = line.partition(";")[0].split() + line.split("--hash=sha256:")[1:]
        name, equals, version = requirement.partition("==")
        assert equals, line
        assert hashes, line
        assert all(len(one.strip()) == 64 for one in line.split("--hash=sha256:")[1:])
        found[canonicalize_name(name)] = version
    return found


def test_the_constraints_satisfy_what_setup_cfg_requires() -> None:
    """Of the program and of its extras for production; `make constraints` writes them anew."""
    options = ConfigParser()
    options.read(ROOT / "setup.cfg")
    wanted = options["options"]["install_requires"].strip().splitlines()
    for extra in ("postgresql", "object-storage", "telemetry"):
        wanted += options["options.extras_require"][extra].strip().splitlines()
    versions = pinned()
    for requirement in map(Requirement, wanted):
        assert versions[canonicalize_name(requirement.name)] in requirement.specifier, requirement


@pytest.mark.parametrize(
    ("report", "code", "word"),
    [
        (None, 2, "NOT AUDITED"),
        ({"dependencies": [{"name": "a", "skip_reason": "no answer"}]}, 2, "NOT AUDITED"),
        ({"dependencies": [{"name": "a", "version": "1", "vulns": []}]}, 0, "No vulnerability"),
        (
            {
                "dependencies": [
                    {"name": "a", "version": "1", "vulns": [{"id": "X-1", "fix_versions": ["2"]}]}
                ]
            },
            1,
            "VULNERABLE: a 1: X-1 (mended in 2)",
        ),
    ],
)
def test_an_audit_that_knows_nothing_does_not_pass(
    report: dict[str, Any] | None, code: int, word: str
) -> None:
    found, lines = verdict(report)
    assert found == code
    assert word in lines[0]
