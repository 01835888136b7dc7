"""Passwords of tests, hashed at the least cost: at that of the program each takes 0.1 s."""

from typing import Final

from argon2 import PasswordHasher

from xds.accounts import passwords

OF_THE_PROGRAM: Final[PasswordHasher] = vars(passwords)["_hasher"]
OF_TESTS: Final = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


def hash_at_least_cost() -> None:
    """Have this process, and those that it forks, hash passwords at the least cost."""
    vars(passwords)["_hasher"] = OF_TESTS
