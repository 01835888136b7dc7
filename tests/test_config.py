"""The options: where a value comes from, what is refused, and how that is told."""

import os
import pickle
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from pydantic import ValidationError

from xds.__main__ import COMMANDS, main
from xds.config import Config, ConfigError, explain, load, option_fields, unknown_environment


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CONFIG", *option_fields()):
        monkeypatch.delenv(f"XDS_{name.upper()}", raising=False)


def file(folder: Path, text: str) -> Path:
    path = folder / "xds.toml"
    path.write_text(text)
    return path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def test_a_flag_comes_before_the_environment_before_the_file_before_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = file(tmp_path, 'port = 1\nworkers = 1\nhost = "h1"')
    monkeypatch.setenv("XDS_PORT", "2")
    monkeypatch.setenv("XDS_WORKERS", "2")
    options = {option.name: option for option in explain({"port": "3", "host": None}, path)}
    assert [
        (options[name].value, options[name].source) for name in ("port", "workers", "host", "data")
    ] == [(3, "--port"), (2, "XDS_WORKERS"), ("h1", str(path)), (Path("var"), "default")]


def test_the_environment_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDS_CONFIG", str(file(tmp_path, "port = 4")))
    assert load().port == 4


def test_an_empty_variable_is_as_good_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDS_DATABASE", "")
    assert load().database is None


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("prot = 1", "prot (FILE): there is no such option; `xds config` lists them all"),
        ('port = "many"', "port (FILE): Input should be a valid integer"),
        ("port = 70000", "port (FILE): Input should be less than or equal to 65535"),
        ("workers = 0", "workers (FILE): Input should be greater than or equal to 1"),
        ('repository_unique_id = "1.2.03"', "repository_unique_id (FILE): not an OID"),
        ('assigning_authority = "clinic"', "assigning_authority (FILE): not an OID"),
        ('unknown_patients = "shut"', "unknown_patients (FILE): Input should be 'open' or 'known'"),
        ('database = "registry.sqlite3"', "database (FILE): not a URL"),
        ('documents_options = "endpoint"', "documents_options (FILE): not of the form NAME=value"),
        ('max_envelope_bytes = "9GiB"', "max_envelope_bytes is above max_message_bytes"),
        ("port = ", "the configuration file FILE cannot be read"),
    ],
)
def test_what_is_wrong_in_the_file_is_told(tmp_path: Path, text: str, complaint: str) -> None:
    path = file(tmp_path, text)
    with pytest.raises(ConfigError, match=re.escape(complaint.replace("FILE", str(path)))):
        load(file=path)


CERTIFICATE = 'tls_certificate = "c.pem"\n'


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('tls_key = "k"', "tls_key needs a tls_certificate"),
        ('tls_trust = "a"', "tls_trust needs a tls_certificate"),
        ('mllp_tls = "yes"', "mllp_tls needs a tls_certificate"),
        ('tls_client_certificates = "required"', "tls_client_certificates needs a tls_certificate"),
        (
            f'{CERTIFICATE}tls_client_certificates = "required"',
            "tls_client_certificates needs tls_trust: without, no certificate is verified",
        ),
        (
            f'{CERTIFICATE}tls_client_certificates = "optional"',
            "tls_client_certificates needs tls_trust: without, no certificate is verified",
        ),
        (
            f'{CERTIFICATE}mllp_client_certificates = "required"',
            "mllp_client_certificates needs tls_trust: without, no certificate is verified",
        ),
        (f'{CERTIFICATE}tls_trust = "a"', "tls_trust verifies nobody while"),
        (f'{CERTIFICATE}tls_crl = "a"', "tls_crl needs tls_trust"),
        (
            f'{CERTIFICATE}tls_trust = "a"\nmllp_tls = "no"\nmllp_client_certificates = "required"',
            "mllp_client_certificates needs TLS for the patient feed",
        ),
        (f'{CERTIFICATE}tls_minimum = "1.1"', "tls_minimum (FILE): Input should be '1.2' or '1.3'"),
        ('tls_outgoing_key = "k"', "tls_outgoing_key needs its tls_outgoing_certificate"),
    ],
)
def test_tls_that_would_promise_too_much_is_refused(
    tmp_path: Path, text: str, complaint: str
) -> None:
    path = file(tmp_path, text)
    with pytest.raises(ConfigError, match=re.escape(complaint.replace("FILE", str(path)))):
        load(file=path)


def test_every_wrong_option_is_told_and_no_value_is_quoted(tmp_path: Path) -> None:
    path = file(tmp_path, 'port = "x"\ndatabase = "u:secret@db"')
    with pytest.raises(ConfigError) as caught:
        load(file=path)
    assert len(str(caught.value).splitlines()) == 2
    assert "secret" not in str(caught.value)


def test_a_file_that_is_named_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is not there"):
        load(file=tmp_path / "none.toml")


@pytest.mark.parametrize("oid", ["1.2.3", "urn:oid:1.2.3", " 1.2.3 "])
def test_a_community_is_named_by_its_oid_with_or_without_urn(oid: str) -> None:
    assert Config(home_community_id=oid).home_community_id == "urn:oid:1.2.3"
    assert Config(assigning_authority=oid).assigning_authority == "1.2.3"


def test_sizes_may_have_units() -> None:
    config = load({"max_envelope_bytes": "2MiB", "max_message_bytes": "4194304"})
    assert (config.max_envelope_bytes, config.max_message_bytes) == (2 << 20, 4 << 20)


def test_database_and_documents_lie_in_the_data_folder_unless_they_are_set(tmp_path: Path) -> None:
    folder = tmp_path / "a folder"
    config = Config(data=folder)
    assert config.database_url == f"sqlite:///{folder}/registry.sqlite3"
    assert config.documents_url == (folder / "documents").as_uri()
    other = Config(data=folder, database="postgresql://db/xds", documents="s3://bucket")
    assert (other.database_url, other.documents_url) == ("postgresql://db/xds", "s3://bucket")


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:80"),
        ("0.0.0.0", "http://127.0.0.1:80"),
        ("::", "http://[::1]:80"),
        ("registry.example", "http://registry.example:80"),
    ],
)
def test_the_server_is_reached_at(host: str, url: str) -> None:
    assert Config(host=host, port=80).url == url


def test_a_configuration_is_a_value_that_hides_its_passwords() -> None:
    config = Config(database="postgresql://u:of-nobody@db/xds", home_community_id="1.2.3")
    assert pickle.loads(pickle.dumps(config)) == config
    assert "secret" not in repr(config)
    with pytest.raises(ValidationError, match="frozen"):
        config.port = 1  # type: ignore[misc]


def test_how_an_object_store_is_reached_may_be_a_text_or_a_table(tmp_path: Path) -> None:
    table = """
[documents_options]
endpoint = "https://objects.hospital.example"
secret_access_key = "a b=c"
allow_http = true
"""
    config = load(file=file(tmp_path, table))
    assert config.documents_settings == {
        "endpoint": "https://objects.hospital.example",
        "secret_access_key": "a b=c",
        "allow_http": "true",
    }
    text = "endpoint=https://objects.hospital.example 'secret_access_key=a b=c' allow_http=true"
    assert load({"documents_options": text}) == config
    assert Config().documents_settings == {}
    assert "a b=c" not in repr(config)


def test_config_shows_no_secret_of_an_object_store() -> None:
    options = "region=eu-west-1 secret_access_key=hidden sas_token=hidden access_key_id=hidden"
    shown = " ".join(run("config", "--documents-options", options).output.split())
    assert "region=eu-west-1" in shown
    assert "hidden" not in shown


def test_config_shows_every_option_with_its_source_and_no_password(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("XDS_DATABASE", "postgresql://u:of-nobody@db/xds")
    monkeypatch.setenv("XDS_DATABASE_URL", "postgresql://db/xds")
    assert unknown_environment() == ("XDS_DATABASE_URL",)
    shown = run("config", "--port", "81")
    assert shown.exit_code == 0
    for name in option_fields():
        assert f"  {name} " in shown.output
    assert "of-nobody" not in shown.output
    assert "from --port" in shown.output
    assert "XDS_DATABASE_URL is set, but is no option." in shown.output


def test_the_toml_file_that_config_prints_means_the_same(tmp_path: Path) -> None:
    flags = ("--port", "81", "--data", 'a "folder"', "--max-envelope-bytes", "1MiB")
    printed = run("config", "--toml", *flags).output
    assert tomllib.loads(printed) == {
        "port": 81,
        "data": str(Path('a "folder"').absolute()),
        "max_envelope_bytes": 1 << 20,
    }
    uncommented = re.sub(r'(?m)^# (\w+ = (?!""))', r"\1", printed)
    assert load(file=file(tmp_path, uncommented)) == Config(
        port=81, data=Path('a "folder"').absolute(), max_envelope_bytes=1 << 20
    )


def test_a_wrong_option_ends_a_command_with_a_line_and_no_traceback() -> None:
    refused = run("serve", "--port", "x")
    assert refused.exit_code == 2
    assert refused.output.startswith("Error: port (--port): ")
    assert len(refused.output.splitlines()) == 1


@pytest.mark.parametrize(
    "option", ["code_sets", "identifier_systems", "generate_defaults", "user_issuers"]
)
def test_a_wrong_file_ends_the_server_before_it_begins(tmp_path: Path, option: str) -> None:
    wrong = tmp_path / "wrong.toml"
    wrong.write_text("[nothing-of-the-kind]")
    for path in (wrong, tmp_path / "absent.toml"):
        refused = run("serve", "--data", str(tmp_path), f"--{option.replace('_', '-')}", str(path))
        assert refused.exit_code == 2
        assert refused.output.splitlines()[-1].startswith(f"Error: {option}: ")
        assert "Traceback" not in refused.output


def test_help_lists_every_command_and_every_option() -> None:
    listed = run("--help").output
    assert all(name in listed for name in COMMANDS)
    served = run("serve", "--help").output
    assert all("--" + name.replace("_", "-") in served for name in option_fields())
    assert "Undefined" not in served


@pytest.mark.parametrize(
    "command", ["serve", "verify", "sweep", "audit", "migrate", "config", "backup"]
)
def test_what_may_not_be_opened_is_told_in_a_line(tmp_path: Path, command: str) -> None:
    run(command, "--help")  # imports it, which another user may not be able to
    data = tmp_path / "private" / "data"
    data.mkdir(parents=True)
    arguments = ["--config", str(file(data, "port = 81"))]
    data.parent.chmod(0)
    user = os.geteuid()
    try:
        os.seteuid(user or 65534)  # to root nothing is closed
        refused = run(
            command, *arguments, *([str(tmp_path / "copy")] if command == "backup" else [])
        )
    finally:
        os.seteuid(user)
        data.parent.chmod(0o700)
    assert refused.exit_code == 2
    assert "Permission denied" in refused.output
    assert isinstance(refused.exception, SystemExit)


@pytest.mark.parametrize("command", ["verify", "sweep", "audit", "migrate"])
def test_data_that_may_not_be_opened_are_told_in_a_line(tmp_path: Path, command: str) -> None:
    run(command, "--help")
    data = tmp_path / "private" / "data"
    run("migrate", "--data", str(data))
    data.parent.chmod(0)
    user = os.geteuid()
    try:
        os.seteuid(user or 65534)
        refused = run(command, "--data", str(data))
    finally:
        os.seteuid(user)
        data.parent.chmod(0o700)
    assert refused.exit_code == 1
    assert refused.output.startswith("Error: ")
    assert len(refused.output.splitlines()) == 1


def test_the_audit_trail_is_searched_by_an_id_with_its_authority(tmp_path: Path) -> None:
    refused = run("audit", "--data", str(tmp_path), "--patient", "M4001")
    assert refused.exit_code == 2
    assert "such as P1^^^&2.999.1.1&ISO" in refused.output


@pytest.mark.parametrize(
    ("transactions", "proxies", "is_told"),
    [
        ('["ITI-67"]', (), True),
        ('["ITI-8"]', (), False),
        ('["ITI-67"]', ("--trusted-proxies", "192.0.2.10"), False),
    ],
)
def test_a_policy_of_nodes_that_nobody_tells_is_warned_of(
    tmp_path: Path, transactions: str, proxies: tuple[str, ...], is_told: bool
) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text(
        '[[rule]]\nname = "a"\ndecision = "permit"\nnodes = ["CN=a"]\n'
        f"transactions = {transactions}\n"
    )
    # it warns, and ends, since no port may be public without TLS
    warned = run(
        "serve", "--data", str(tmp_path), "--host", "0.0.0.0", "--policy", str(policy), *proxies
    )
    assert warned.exit_code == 1
    assert ("rules of the policy name nodes" in warned.output) is is_told


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_of_the_table_is_there(name: str) -> None:
    helped = run(name, "--help")
    assert helped.exit_code == 0, helped.output


def test_an_unknown_command_is_refused() -> None:
    refused: Any = run("swerve")
    assert refused.exit_code == 2
    assert "No such command" in refused.output


def test_what_options_of_dsub_exclude() -> None:
    whole = Config()
    assert whole.places["notification"] == "http://127.0.0.1:8080/notification"
    assert "ITI-54" in whole.excluded_transactions
    assert "ITI-54" not in Config(dsub_publish="yes").excluded_transactions
    without = Config(dsub="no")
    assert "notification" not in without.places
    assert {"ITI-52", "ITI-54", "ITI-69", "ITI-70", "ITI-120"} <= without.excluded_transactions
    assert "notification" not in Config(registry_url="http://registry.example/").places


def test_what_is_secret_is_not_shown(tmp_path: Path) -> None:
    flags = {
        "openid_secret": "very-secret",
        "tls_key_password": "very-secret",
        "database": "postgresql://user:very-secret@db.example/xds",
    }
    config = load(flags)
    shown = {option.name: option.shown for option in config.options()}
    assert [name for name, text in shown.items() if "very-secret" in text] == []
    assert shown["database"] == "postgresql://user:***@db.example/xds"
    assert {one.source for one in config.options() if one.name in flags} == {
        "--openid-secret",
        "--tls-key-password",
        "--database",
    }
    assert config == Config(**flags)
