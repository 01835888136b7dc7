"""What users cost: an assertion or a token at its first use, and when it is remembered.

The yardstick is one bare verification by RSA of 2048 bits in the same run. `python -m
bench.user_assertions`; it needs what the tests need.
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from lxml import etree

from tests import vouching as made
from xds.database.access import Database
from xds.database.used_once import UsedOnce
from xds.fhir.authorization import Authorization, TokenTerms
from xds.registry import schema
from xds.security.interceptors import InterceptorChain
from xds.security.issuers import Issuers
from xds.security.key_sets import KeySet
from xds.security.requirements import Requirement, UserRequirements
from xds.soap.security import AssertionTerms, UserAssertions

_TIMES = 100
_ROUNDS = 5


def _microseconds(act: Callable[[int], object], times: int = _TIMES) -> float:
    """Return the least time of an act over some rounds."""
    least = float("inf")
    for round_ in range(_ROUNDS):
        begin = time.perf_counter()
        for number in range(times):
            act(round_ * times + number)
        least = min(least, (time.perf_counter() - begin) / times)
    return least * 1e6


def _yardstick() -> Callable[[int], object]:
    key = made.vouching().token_key
    signature = key.sign(b"text", padding.PKCS1v15(), hashes.SHA256())
    public = key.public_key()
    return lambda _: public.verify(signature, b"text", padding.PKCS1v15(), hashes.SHA256())


def _header() -> etree._Element:
    text = made.security(made.signed(made.Asserted()))
    return etree.fromstring(f'<h xmlns:s="http://www.w3.org/2003/05/soap-envelope">{text}</h>')


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as folder:
        issuers = Issuers.read(made.vouching().write(Path(folder)))
        database = Database(f"sqlite:///{folder}/x.sqlite3")
        schema.prepare(database)
        used, required = UsedOnce(database), UserRequirements(Requirement.REQUIRED)
        common: dict[str, Any] = {
            "audiences": frozenset({made.AUDIENCE}),
            "skew_seconds": 60,
            "reusable": True,
        }
        users = UserAssertions(
            required, AssertionTerms(issuers=issuers.assertions, **common), used, InterceptorChain()
        )
        sets = {name: KeySet(one) for name, one in issuers.tokens.items()}
        tokens = Authorization(
            required,
            TokenTerms(key_sets=sets, needs_scope=True, **common),
            used,
            InterceptorChain(),
            lambda _: (),
        )
        number = _TIMES * _ROUNDS
        headers = [_header() for _ in range(number)]
        stated = [{"HTTP_AUTHORIZATION": f"Bearer {made.token()}"} for _ in range(number)]
        rows: dict[str, Callable[[int], object]] = {
            "yardstick: one RSA verification": _yardstick(),
            "assertion, first use": lambda n: users.caller(headers[n], "ITI-18", {}),
            "assertion, remembered": lambda _: users.caller(headers[0], "ITI-18", {}),
            "token, first use": lambda n: tokens.access(stated[n], "ITI-67", frozenset()),
            "token, remembered": lambda _: tokens.access(stated[0], "ITI-67", frozenset()),
        }
        for name, act in rows.items():
            print(f"{name:34}{_microseconds(act):10.1f} µs")
        database.close()


if __name__ == "__main__":
    main()
