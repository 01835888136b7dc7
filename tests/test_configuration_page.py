"""docs/configuration.md is what the options are, and its files and those of deploy/ are taken."""

import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from pydantic import TypeAdapter

from xds.__main__ import main
from xds.commands.configuration_page import example, written
from xds.commands.flags import choices, metavar
from xds.config import Config, load, option_fields, section_of

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "configuration.md"
DEPLOY = ROOT / "deploy"
FILES = {
    "code_sets": DEPLOY / "code_sets.toml",
    "identifier_systems": DEPLOY / "identifier_systems.toml",
    "generate_defaults": DEPLOY / "generate_defaults.toml",
    "user_issuers": DEPLOY / "issuers.toml",
    "policy": ROOT / "docs" / "policies" / "shared-care-record.toml",
}
HEADINGS = {
    "Code sets": "code_sets",
    "Identifier systems": "identifier_systems",
    "Issuers and key sets": "user_issuers",
    "Policy": "policy",
    "Generate defaults": "generate_defaults",
}


def run(*arguments: object, **environment: str) -> Result:
    return CliRunner().invoke(main, ["config", *map(str, arguments)], env=environment)


def flag(option: str) -> str:
    return "--" + option.replace("_", "-")


def block_of(heading: str) -> str:
    """Return the first indented block below a heading of the page."""
    below = PAGE.read_text().partition(f"\n### {heading}\n")[2]
    found = re.search(r"(?m)(?:^    .*\n|^\n(?=    ))+", below)
    assert found is not None
    return re.sub(r"(?m)^    ", "", found[0])


def test_the_page_is_made_of_the_options() -> None:
    page = PAGE.read_text()
    assert written(page) == page, "`make docs` writes it anew"


@pytest.mark.parametrize("name", list(option_fields()))
def test_an_option_has_an_example_that_is_taken(name: str) -> None:
    field = option_fields()[name]
    shown = example(field).strip("`")
    if not shown:
        assert field.default is not None
        assert metavar(field) in ("NUMBER", "SIZE")
        return
    if name == "telemetry_url":
        pytest.importorskip("opentelemetry.sdk", reason="pip install 'xds[telemetry]'")
    value = TypeAdapter(field.rebuild_annotation()).validate_python(shown)
    assert value != field.default


def test_the_configuration_at_its_head_is_one(tmp_path: Path) -> None:
    block = re.search(r"(?m)^    host = (?:.*\n    )+.*", PAGE.read_text())
    assert block is not None
    shutil.copy(FILES["code_sets"], tmp_path)
    file = tmp_path / "xds.toml"
    file.write_text(re.sub(r"(?m)^    ", "", block[0]))
    assert load(file=file).data == tmp_path / "data"
    done = run("--config", file)
    assert done.exit_code == 0, done.stderr


@pytest.mark.parametrize("option", list(FILES))
def test_a_file_that_is_shipped_is_taken(option: str) -> None:
    done = run(flag(option), FILES[option])
    assert done.exit_code == 0, done.stderr


@pytest.mark.parametrize("heading", list(HEADINGS))
def test_a_file_of_the_page_is_taken(heading: str, tmp_path: Path) -> None:
    for name in ("idp.pem", "jwks.json"):
        shutil.copy(DEPLOY / name, tmp_path)
    file = tmp_path / "file.toml"
    file.write_text(block_of(heading))
    done = run(flag(HEADINGS[heading]), file)
    assert done.exit_code == 0, done.stderr


def test_what_the_page_says_of_a_patient_of_three_names(tmp_path: Path) -> None:
    from xds.metadata.systems import Systems

    file = tmp_path / "systems.toml"
    file.write_text(block_of("Identifier systems"))
    systems = Systems.read(file)
    assert systems.authority("https://hospital.example/Id/number") == "2.999.1.1"
    assert systems.oid_of_namespace("HOSP") == "2.999.1.1"


# --- xds config ----------------------------------------------------------------------------------


def test_each_wrong_file_is_a_line_and_the_exit_code_is_2(tmp_path: Path) -> None:
    (tmp_path / "code_sets.toml").write_text("[codes]\nnothing = []")
    (tmp_path / "policy.toml").write_text('[[rule]]\nname = "one"\n')
    (tmp_path / "issuers.toml").write_text('[tokens."https://a.example"]\nkeys = "none.json"')
    file = tmp_path / "xds.toml"
    file.write_text("".join(f'{one} = "{FILES[one].name}"\n' for one in ("code_sets",)))
    done = run(
        *("--config", file, "--policy", tmp_path / "policy.toml"),
        *("--user-issuers", tmp_path / "issuers.toml", "--generate-defaults", tmp_path / "no.toml"),
    )
    assert done.exit_code == 2
    told = done.stderr.removeprefix("Error: ").splitlines()
    assert sorted(line.partition(":")[0] for line in told) == [
        *("code_sets", "generate_defaults", "policy", "user_issuers"),
    ]
    assert any("none.json" in line for line in told)


def test_a_key_set_without_a_usable_key_is_told(tmp_path: Path) -> None:
    (tmp_path / "keys.json").write_text('{"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}')
    file = tmp_path / "issuers.toml"
    file.write_text('[tokens."https://a.example"]\nkeys = "keys.json"')
    done = run("--user-issuers", file)
    assert done.exit_code == 2
    assert "no key that may verify a token" in done.stderr
    assert "c2VjcmV0" not in done.stderr


def test_paths_of_a_file_lead_from_its_folder_and_no_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "etc"
    folder.mkdir()
    file = folder / "xds.toml"
    file.write_text(
        'data = "var"\ncode_sets = "codes.toml"\ntls_certificate = "/abs/c.pem"\n'
        'documents = "s3://bucket"\ndocuments_options = "region=a root_certificate=ca.pem"\n'
    )
    monkeypatch.chdir(tmp_path)
    config = load({"identifier_systems": "systems.toml"}, Path("etc/xds.toml"))
    assert config.data == folder / "var"
    assert config.code_sets == folder / "codes.toml"
    assert config.tls_certificate == Path("/abs/c.pem")
    assert config.identifier_systems == Path("systems.toml")
    assert config.documents_settings["root_certificate"] == str(folder / "ca.pem")


@pytest.mark.parametrize("width", [60, 80, 200])
def test_an_option_is_one_line_of_the_terminal_below_its_section(width: int) -> None:
    long = "https://" + "a" * 300 + ".example"
    shown = run("--public-url", long, COLUMNS=str(width)).stdout.splitlines()
    assert max(map(len, shown)) <= width
    assert [line.split()[0] for line in shown if line.startswith("  ")] == list(option_fields())
    headings = [line for line in shown if line and not line.startswith(" ")]
    assert headings == list(dict.fromkeys(map(section_of, option_fields())))


def test_json_has_each_option_and_no_password() -> None:
    os.environ.pop("XDS_PORT", None)
    done = run("--json", "--port", 81, "--database", "postgresql://u:secret@db/xds")
    found: dict[str, Any] = {one["name"]: one for one in json.loads(done.stdout)}
    assert list(found) == list(option_fields())
    assert (found["port"]["value"], found["port"]["source"]) == (81, "--port")
    assert found["database"]["value"] == "postgresql://u:***@db/xds"
    assert found["audit"]["choices"] == list(choices(Config.model_fields["audit"]))
    assert found["mllp_port"]["environment"] == "XDS_MLLP_PORT"
