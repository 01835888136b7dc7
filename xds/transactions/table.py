"""TRANSACTIONS: a row for each SOAP message that is answered, a file for each transaction.

A transaction takes the request's body element and gives the response's body; it knows neither SOAP
nor HTTP. What the row names, every binding, audit and policy can rely on.
"""

from xds.transactions import (
    iti18_registry_stored_query,
    iti41_provide_and_register,
    iti42_register,
    iti43_retrieve,
    iti44_patient_identity_feed_v3,
    iti51_multi_patient_stored_query,
    iti57_update,
    iti61_register_on_demand,
    iti62_remove_metadata,
    iti86_remove_documents,
    iti92_restricted_update,
)
from xds.transactions.broker import (
    iti52_subscribe,
    iti54_publish,
    iti69_pull_points,
    iti70_pull_notification,
    iti120_subscription_search,
)
from xds.transactions.transaction import Transaction

TRANSACTIONS: tuple[Transaction, ...] = (
    iti18_registry_stored_query.TRANSACTION,
    iti41_provide_and_register.TRANSACTION,
    iti42_register.TRANSACTION,
    iti43_retrieve.TRANSACTION,
    iti44_patient_identity_feed_v3.ADD,
    iti44_patient_identity_feed_v3.REVISE,
    iti44_patient_identity_feed_v3.MERGE,
    iti51_multi_patient_stored_query.TRANSACTION,
    iti52_subscribe.SUBSCRIBE,
    iti52_subscribe.UNSUBSCRIBE,
    iti52_subscribe.RENEW,
    iti54_publish.TRANSACTION,
    iti57_update.TRANSACTION,
    iti61_register_on_demand.TRANSACTION,
    iti62_remove_metadata.TRANSACTION,
    iti69_pull_points.CREATE,
    iti69_pull_points.DESTROY,
    iti70_pull_notification.TRANSACTION,
    iti86_remove_documents.TRANSACTION,
    iti92_restricted_update.TRANSACTION,
    iti120_subscription_search.TRANSACTION,
)
