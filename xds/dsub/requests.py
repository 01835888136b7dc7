"""What the handlers of DSUB's transactions share: which resource a request means, and refusals."""

from collections.abc import Sequence
from functools import partial
from typing import NoReturn, Protocol

from lxml import etree

from xds.dsub.faults import NotificationFault, ResourceUnknownFault
from xds.dsub.writing import PATIENTS, SUBSCRIPTIONS, reference_of
from xds.errors import RegistryError, XDSRegistryBusy, kind_of_errors
from xds.notification.model import LIVING, Subscription
from xds.notification.subscriptions import Subscriptions
from xds.security.caller import Caller
from xds.security.details import SubscriptionDetails
from xds.security.errors import AccessDenied
from xds.security.policy import DENIED

PROTOCOL = "dsub"
"""The protocol of subscriptions that are notified by ITI-53, and the channel of the queue."""
PULLED = "dsub-pull"
"""The protocol of those whose notifications a pull point has (ITI-70)."""

_NO_SUBSCRIPTION = "There is no such subscription, or it has ended."


class Refuse(Protocol):
    """Renders the refusal of a transaction: it raises the fault."""

    def __call__(self, errors: Sequence[RegistryError], /) -> NoReturn:
        """Raise the fault that tells of errors."""


def refused_by(fault: type[NotificationFault]) -> Refuse:
    """Return what refuses a transaction by a fault."""

    def refuse(errors: Sequence[RegistryError], /) -> NoReturn:
        description = "; ".join(error.code_context for error in errors)
        is_busy = any(isinstance(error, XDSRegistryBusy) for error in errors)
        raise fault(f"{description}.", failure_kind=kind_of_errors(errors) if is_busy else None)

    return refuse


def resource_id(resource: str, folder: str) -> str:
    """Return the id of a resource of a kind, by its path in the broker's; ResourceUnknownFault."""
    kind, _, key = resource.partition("/")
    if kind != folder or not key:
        raise ResourceUnknownFault(
            f"The message was not sent to the address of a {folder}, as {folder}s have them."
        )
    return key


def subscription_of(subscriptions: Subscriptions, resource: str, caller: Caller) -> Subscription:
    """Return the subscription that a request was sent to; ResourceUnknownFault, AccessDenied."""
    found = subscriptions.get(resource_id(resource, SUBSCRIPTIONS))
    if found is None or found.protocol not in (PROTOCOL, PULLED) or found.state not in LIVING:
        raise ResourceUnknownFault(_NO_SUBSCRIPTION)
    if not subscriptions.may_manage(found, caller):
        raise AccessDenied(DENIED, rule="not the subscriber")
    return found


def details_of(one: Subscription, action: str) -> SubscriptionDetails:
    """Return what is recorded of a request about a subscription."""
    return SubscriptionDetails(
        address=reference_of(one),
        patient_ids=tuple(str(patient) for patient in one.details.get(PATIENTS, ())),
        action=action,
    )


def text_of(body: etree._Element) -> "partial[str]":
    """Return what renders a request as text, if someone wants it."""
    return partial(etree.tostring, body, encoding="unicode")
