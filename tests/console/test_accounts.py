"""Local accounts, sessions and the limit on guessing, on a real database."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import select, update

from tests import databases
from tests.passwords import OF_THE_PROGRAM
from xds.__main__ import main
from xds.accounts.accounts import AccountError, Accounts
from xds.accounts.passwords import WeakPassword
from xds.accounts.sessions import Emergency, Person, Sessions
from xds.accounts.tables import account, account_session, login_failure
from xds.accounts.throttle import Attempts, LoginThrottle
from xds.config import Config
from xds.database.access import Database
from xds.metadata.objects import Code
from xds.registry import schema
from xds.security.caller import User

PASSWORD = "correct horse battery"
STRONG = "$argon2id$v=19$m=65536,t=3,p=4$"
"""How hashes of the program begin: the second choice of RFC 9106, section 4."""
MINUTE = 60_000
ADA = Person(
    user=User(
        name_id="ada",
        issuer="https://idp.example",
        subject_id="Ada Ä",
        roles=(Code("doctor", "2.999.5", "Doctor"),),
        scopes=frozenset({"openid", "profile"}),
        patients=("1^^^&2.999.1&ISO",),
    ),
    roles=("clinician", "viewer"),
    way="openid",
    patients=("1^^^&2.999.1&ISO",),
)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return databases.prepared(tmp_path)


@pytest.fixture
def database(data: Path) -> Iterator[Database]:
    opened = Database(Config(data=data, **databases.options(data)).database_url)
    schema.prepare(opened)
    yield opened
    opened.close()


def run(data: Path, *arguments: str, typed: str = "") -> Result:
    place = [part for name, one in databases.options(data).items() for part in (f"--{name}", one)]
    return CliRunner().invoke(main, ["users", *arguments, "--data", str(data), *place], input=typed)


def test_an_account_is_added_listed_and_removed(data: Path, database: Database) -> None:
    accounts = Accounts(database)
    added = run(data, "add", "ada", "--role", "viewer", typed=f"{PASSWORD}\n{PASSWORD}\n")
    assert added.exit_code == 0, added.output
    assert PASSWORD not in added.output
    found = accounts.verified("ada", PASSWORD)
    assert found is not None
    assert found.roles == ("viewer",)
    assert accounts.verified("ada", f"{PASSWORD} ") is None
    assert accounts.verified("Ada", PASSWORD) is None
    listed = run(data, "list")
    assert "ada" in listed.output
    assert "argon2" not in listed.output
    assert run(data, "remove", "ada").exit_code == 0
    assert accounts.verified("ada", PASSWORD) is None
    assert "There is no account ada." in run(data, "remove", "ada").output


@pytest.mark.parametrize(
    ("arguments", "typed", "told"),
    [
        (("add", "a", "--role", "viewer", "--password-file", "-"), "short", "12 to 1024"),
        (("add", "longname1", "--role", "viewer", "--password-file", "-"), "LONGNAME1234", "name"),
        (("add", "a b", "--role", "viewer", "--password-file", "-"), PASSWORD, "letters, digits"),
        (("add", "a", "--password-file", "-"), PASSWORD, "takes --role"),
        (("add", "a", "--role", "king", "--password-file", "-"), PASSWORD, "viewer"),
        (("password", "a", "--password-file", "-"), PASSWORD, "no account a"),
        (("list", "a"), "", "list takes no NAME"),
        (("remove",), "", "remove takes a NAME"),
        (("add", "a", "--role", "viewer", "--patient", "P1"), PASSWORD, "a bare id"),
    ],
)
def test_what_is_wrong_is_told_and_nothing_is_made(
    data: Path, database: Database, arguments: tuple[str, ...], typed: str, told: str
) -> None:
    done = run(data, *arguments, typed=typed)
    assert done.exit_code != 0
    assert told in done.output
    assert Accounts(database).all() == []


def test_another_password_ends_the_sessions(data: Path, database: Database) -> None:
    accounts, sessions = Accounts(database), Sessions(database, 15 * MINUTE, 60 * MINUTE)
    accounts.put("ada", PASSWORD, ["viewer"])
    session = sessions.begin(ADA, account="ada")
    other = sessions.begin(ADA, account="bob")
    assert (
        run(data, "password", "ada", "--password-file", "-", typed="another long one").exit_code
        == 0
    )
    assert sessions.find(session.secret) is None
    assert sessions.find(other.secret) is not None
    assert accounts.verified("ada", PASSWORD) is None
    assert accounts.verified("ada", "another long one") is not None


def test_a_hash_of_former_parameters_is_renewed_by_the_next_login(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    accounts = Accounts(database)
    accounts.put("ada", PASSWORD, ["viewer"])
    monkeypatch.setattr("xds.accounts.passwords._hasher", OF_THE_PROGRAM)
    assert accounts.verified("ada", f"{PASSWORD} ") is None
    assert not stored(database).startswith(STRONG)
    assert accounts.verified("ada", PASSWORD) is not None
    assert stored(database).startswith(STRONG)
    assert accounts.verified("ada", PASSWORD) is not None


def stored(database: Database) -> str:
    with database.read() as connection:
        return str(connection.execute(select(account.c.password)).scalar_one())


def test_what_cannot_be_an_account_is_refused(database: Database) -> None:
    accounts = Accounts(database)
    with pytest.raises(AccountError):
        accounts.put("<b>", PASSWORD, ["viewer"])
    with pytest.raises(WeakPassword):
        accounts.put("ada", "x" * 1025, ["viewer"])


def test_a_session_is_found_by_its_secret_alone(database: Database) -> None:
    sessions = Sessions(database, 15 * MINUTE, 60 * MINUTE)
    begun = sessions.begin(ADA)
    found = sessions.find(begun.secret)
    assert found is not None
    assert found.person == ADA
    assert sessions.find(begun.key) is None
    assert sessions.find("\udcff\0") is None
    sessions.end(found)
    assert sessions.find(begun.secret) is None


def test_a_session_ends_when_it_is_not_used_and_in_any_case(database: Database) -> None:
    sessions = Sessions(database, 15 * MINUTE, 60 * MINUTE)
    idle, old, used = (sessions.begin(ADA) for _ in range(3))

    def set_back(key: str, **columns: int) -> None:
        with database.write() as connection:
            now = database.milliseconds(connection)
            row = account_session.c.key == key
            values = {name: now - ago for name, ago in columns.items()}
            connection.execute(update(account_session).where(row).values(**values))

    set_back(idle.key, seen=15 * MINUTE)
    set_back(old.key, until=0)
    set_back(used.key, seen=14 * MINUTE)
    assert sessions.find(idle.secret) is None
    assert sessions.find(old.secret) is None
    assert sessions.find(used.secret) is not None
    set_back(used.key, began=0)
    shorter = replace(sessions, idle=5 * MINUTE)
    assert shorter.find(used.secret) is not None  # it was noted that it is used


def test_a_broken_glass_is_of_one_patient_and_for_a_time(database: Database) -> None:
    sessions = Sessions(database, 15 * MINUTE, 60 * MINUTE)
    begun = sessions.begin(ADA)
    sessions.note_emergency(begun, Emergency(7, "unconscious", begun.now + MINUTE))
    found = sessions.find(begun.secret)
    assert found is not None
    assert found.emergency(7) == Emergency(7, "unconscious", begun.now + MINUTE)
    assert found.emergency(8) is None
    assert replace(found, now=begun.now + MINUTE).emergency(7) is None


def test_who_guesses_waits_ever_longer(database: Database) -> None:
    throttle = LoginThrottle(database)
    mine, others = [Attempts("name", "ada", 3)], [Attempts("address", "ada", 3)]
    assert [throttle.admit(mine) for _ in range(3)] == [0, 0, 0]
    first = throttle.admit(mine)
    assert 0 < first <= 30_000
    assert throttle.admit([*others, *mine]) > 0
    assert throttle.admit(others) == 0
    with database.write() as connection:
        connection.execute(update(login_failure).values(last=login_failure.c.last - 30_000))
    assert throttle.admit(mine) == 0
    assert throttle.admit(mine) > 30_000
    throttle.clear(mine)
    assert throttle.admit(mine) == 0
    for _ in range(9):
        throttle.succeed(mine)
        assert throttle.admit(mine) == 0
