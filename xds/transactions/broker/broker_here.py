"""The broker of the affinity domain that answers a transaction."""

from xds.affinity_domain import AffinityDomain
from xds.dsub.broker import Broker


def broker_of(domain: AffinityDomain) -> Broker:
    """Return the broker of a domain, which must be here."""
    if domain.subscriptions is None or domain.broker_rules is None:
        raise LookupError("there is no broker here")
    return Broker(
        database=domain.database, subscriptions=domain.subscriptions, rules=domain.broker_rules
    )
