"""What a subscriber may see, and whom a subscription belongs to.

The policy is asked what the caller who subscribed may see by the transaction by which it
subscribed, when an event is matched and again each time that a notification is sent. So a rule that
is changed in between counts from then on.
"""

import json
from dataclasses import asdict, fields
from functools import lru_cache
from typing import Any, Final

from xds.metadata.criteria import ANYTHING, NOTHING, Criterion
from xds.metadata.objects import Code
from xds.security.caller import Caller, User
from xds.security.errors import AccessDenied
from xds.security.node import Node
from xds.security.policy import AccessPolicy

_KEPT: Final = 16_384
_BY_ADDRESS: Final = "address "


class Rights:
    """What subscribers may see by the policy of this server."""

    def __init__(self, policy: AccessPolicy | None) -> None:
        self._policy = policy
        self._kept = lru_cache(_KEPT)(self._visible)

    def visible(self, transaction: str, caller: Caller) -> Criterion:
        """Return the criterion of the DocumentEntries that a subscriber may see."""
        return self._kept(transaction, caller)

    def _visible(self, transaction: str, caller: Caller) -> Criterion:
        if self._policy is None:
            return ANYTHING
        try:
            return self._policy.grant(transaction, caller).visible
        except AccessDenied:
            return NOTHING


def owner_of(caller: Caller) -> str:
    """Return whom a caller's subscriptions belong to: the user, else the node, as it is known."""
    if caller.user is not None:
        return f"user {caller.user.name_id}@{caller.user.issuer}"
    if caller.node.certificate_subject is not None:
        return f"node {caller.node.certificate_subject}"
    return f"{_BY_ADDRESS}{caller.node.address}"


def may_manage(owner: str, caller: Caller) -> bool:
    """Tell whether a caller may change what belongs to an owner.

    Who is known by an address alone proves nothing by it: then whoever knows the id may.
    """
    return owner.startswith(_BY_ADDRESS) or owner == owner_of(caller)


def dumped_caller(caller: Caller) -> str:
    """Write a caller as JSON, without its certificate."""
    user = None if caller.user is None else asdict(caller.user)
    if user is not None:
        user["scopes"] = sorted(user["scopes"])
    node = {"address": caller.node.address, "subject": caller.node.certificate_subject}
    return json.dumps({"node": node, "user": user}, separators=(",", ":"))


@lru_cache(_KEPT)
def loaded_caller(text: str) -> Caller:
    """Read what :func:`dumped_caller` has written."""
    read = json.loads(text)
    node = Node(address=read["node"]["address"], certificate_subject=read["node"]["subject"])
    return Caller(node=node, user=None if read["user"] is None else _user(read["user"]))


_CODES: Final = frozenset({"roles", "purposes_of_use"})


def _user(read: dict[str, Any]) -> User:
    known = {one.name for one in fields(User)}
    return User(**{name: _value(name, value) for name, value in read.items() if name in known})


def _value(name: str, value: Any) -> Any:
    if name in _CODES:
        return tuple(Code(**code) for code in value)
    if name == "scopes":
        return frozenset(value)
    return tuple(value) if isinstance(value, list) else value
