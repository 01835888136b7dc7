"""What is installed, and what the command line costs before it does anything."""

import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path

ROOT = Path(__file__).parent.parent
HEAVY = {"granian", "lxml", "pydantic", "rich", "spyne", "sqlalchemy", "structlog"}


def test_every_package_is_listed_in_setup_cfg() -> None:
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg")
    folders = [path.parent.relative_to(ROOT) for path in (ROOT / "xds").rglob("__init__.py")]
    contract = {"xds.schemas", "xds.wsdl"}
    assert set(setup["options"]["packages"].split()) == contract | {
        ".".join(folder.parts) for folder in folders
    }


def test_the_list_of_commands_imports_nothing_heavy() -> None:
    code = "import sys, xds.__main__; print(*{name.partition('.')[0] for name in sys.modules})"
    imported = subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, text=True).split()
    assert HEAVY.isdisjoint(imported)
