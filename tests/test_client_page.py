"""docs/connecting-a-client.md: its programs are run as they stand, at another port."""

import http.server
import json
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.ports import free_port
from tests.serving import Server, serving
from tests.vouching import claims, token, vouching
from tests.waiting import PATIENCE
from xds.__main__ import main

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "connecting-a-client.md").read_text()
PATIENT = "EXAMPLE-1^^^&2.999.1.1&ISO"
REPORT = ROOT / "fixtures" / "documents" / "report.pdf"


def code(heading: str, language: str) -> list[str]:
    """Return the blocks of a language below a heading."""
    (below,) = re.findall(rf"(?ms)^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", PAGE)
    found = re.findall(rf"(?ms)^```{language}\n(.*?)^```", below)
    assert found
    return found


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with one document, of the page's patient."""
    with serving(tmp_path_factory.mktemp("page"), {}) as own:
        submit = ["submit", str(REPORT), "--patient", PATIENT, "--url", own.url]
        done = CliRunner().invoke(main, submit)
        assert done.exit_code == 0, done.output
        yield own


def here(text: str, server: Server) -> str:
    return text.replace("http://127.0.0.1:8080", server.url)


def python(heading: str, server: Server, folder: Path) -> str:
    (program,) = code(heading, "python")
    done = subprocess.run(
        [sys.executable, "-c", here(program, server)],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_xds_client(example: Server, tmp_path: Path) -> None:
    shutil.copy(REPORT, tmp_path)
    told = python("Python: xds.client", example, tmp_path)
    assert re.fullmatch(rf"[1-9][0-9]* documents {REPORT.stat().st_size} bytes\n", told)


def test_zeep(example: Server, tmp_path: Path) -> None:
    status, entry = python("Python: zeep", example, tmp_path).splitlines()[:2]
    assert status.endswith(":Success")
    assert entry.split()[1:] == ["application/pdf", str(REPORT.stat().st_size), "2.999.1.3"]


def test_what_zeep_is_told_to_quote_is_found(example: Server, tmp_path: Path) -> None:
    (program,) = code("Python: zeep", "python")
    quoting = program[program.index("def text") : program.index("client =")]
    told: dict[str, str] = {}
    exec(f"{quoting}\nsaid = texts(\"it's\", 'b')", told)
    assert told["said"] == "('it''s','b')"


def test_fhirpy(example: Server, tmp_path: Path) -> None:
    lines = python("Python: fhirpy", example, tmp_path).splitlines()
    assert lines
    assert all(
        line.split()[1:] == ["application/pdf", str(REPORT.stat().st_size)] for line in lines
    )


@pytest.mark.skipif(not shutil.which("curl"), reason="apt-get install curl")
def test_curl(example: Server, tmp_path: Path) -> None:
    fhir, soap = code("curl", "bash")
    answers = []
    for command in [*fhir.splitlines(), *soap.splitlines()]:
        text = here(command, example).replace("-o report", f"-o {tmp_path}/report")
        done = subprocess.run(
            ["bash", "-c", text], cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE
        )
        assert done.returncode == 0, done.stderr
        answers.append(done.stdout)
    published, found, _, queried = answers
    assert json.loads(published)["type"] == "transaction-response"
    assert json.loads(found)["total"] == 1
    assert (tmp_path / "report").stat().st_size
    assert "ResponseStatusType:Success" in queried


# --- a browser -----------------------------------------------------------------------------------

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
    *("--virtual-time-budget=20000", "--dump-dom"),
)
browser = pytest.mark.skipif(CHROMIUM is None, reason="apt-get install chromium")


@contextmanager
def page_at(port: int, folder: Path) -> Iterator[str]:
    """Serve a folder, and give its origin."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    handler = partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", port), handler) as listening:
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{port}"
        listening.shutdown()


def shown(script: str, port: int, folder: Path) -> str:
    """Open a page with a script in a browser, and return its DOM once that has ended."""
    done = "document.body.dataset.ended = String(error ?? 'well')"
    wrapped = (
        f"(async () => {{ let error; try {{ {script} }} catch (e) {{ error = e }} {done} }})()"
    )
    (folder / "index.html").write_text(f"<!doctype html><body><script>{wrapped}</script>")
    with page_at(port, folder) as origin:
        ran = subprocess.run(
            [CHROMIUM or "", *FLAGS, f"--user-data-dir={folder}/profile", f"{origin}/index.html"],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
    return ran.stdout


@browser
@pytest.mark.slow
def test_a_web_page_of_another_origin(tmp_path: Path) -> None:
    (script,) = code("A browser", "javascript")
    port = free_port()
    with serving(tmp_path / "var", {"fhir_cors_origins": f"http://127.0.0.1:{port}"}) as server:
        submit = ["submit", str(REPORT), "--patient", PATIENT, "--url", server.url]
        assert CliRunner().invoke(main, submit).exit_code == 0
        dom = shown(here(script, server), port, tmp_path)
        assert 'data-ended="well"' in dom
        assert f"report, {REPORT.stat().st_size} bytes</a>" in dom
        elsewhere = shown(here(script, server), free_port(), tmp_path)
        assert "Failed to fetch" in elsewhere


@browser
@pytest.mark.slow
def test_a_web_page_with_a_token(tmp_path: Path) -> None:
    (script,) = code("A browser", "javascript")
    port = free_port()
    options = vouching().options(
        tmp_path / "issuers",
        user_assertions_of="ITI-41=off",
        fhir_cors_origins=f"http://127.0.0.1:{port}",
    )
    with serving(tmp_path / "var", options) as server:
        submit = ["submit", str(REPORT), "--patient", PATIENT, "--url", server.url]
        assert CliRunner().invoke(main, submit).exit_code == 0
        without = shown(here(script, server), port, tmp_path)
        assert 'data-ended="Error: ' in without
        told = here(script, server).replace(
            'token = ""', f'token = "{token(claims(scope="ITI-67 ITI-68"))}"'
        )
        dom = shown(told, port, tmp_path)
        assert 'data-ended="well"' in dom
        assert f"report, {REPORT.stat().st_size} bytes</a>" in dom
