"""The URLs and codes of DSUBm and of the R4 backport of topic-based subscriptions."""

from typing import Final

DSUBM: Final = "https://profiles.ihe.net/ITI/DSUBm"
PROFILE: Final = f"{DSUBM}/StructureDefinition/"
TOPIC: Final = f"{DSUBM}/SubscriptionTopic/"
CAPABILITIES: Final = f"{DSUBM}/CapabilityStatement/"
IMPLEMENTATION_GUIDE: Final = f"{DSUBM}/ImplementationGuide/ihe.iti.dsubm"
LIST_TYPES: Final = f"{DSUBM}/CodeSystem/DSUBmlistTypesR4"
"""The system that DSUBm's profiles of Subscription name for the code of a List, beside MHD's."""

BACKPORT: Final = "http://hl7.org/fhir/uv/subscriptions-backport"
_BACKPORT_PROFILE: Final = f"{BACKPORT}/StructureDefinition/"
SUBSCRIPTION: Final = f"{_BACKPORT_PROFILE}backport-subscription"
NOTIFICATION: Final = f"{_BACKPORT_PROFILE}backport-subscription-notification-r4"
STATUS: Final = f"{_BACKPORT_PROFILE}backport-subscription-status-r4"
OPERATION: Final = f"{BACKPORT}/OperationDefinition/backport-subscription-"
CAPABILITY_STATEMENT: Final = f"{BACKPORT}/CapabilityStatement/backport-subscription-server-r4"
TOPIC_OF_SERVER: Final = f"{_BACKPORT_PROFILE}capabilitystatement-subscriptiontopic-canonical"
"""The extension by which a CapabilityStatement names the topics of a server."""

# Extensions of a Subscription (R4 backport 1.1.0)
FILTER: Final = f"{_BACKPORT_PROFILE}backport-filter-criteria"
HEARTBEAT: Final = f"{_BACKPORT_PROFILE}backport-heartbeat-period"
TIMEOUT: Final = f"{_BACKPORT_PROFILE}backport-timeout"
MAX_COUNT: Final = f"{_BACKPORT_PROFILE}backport-max-count"
PAYLOAD_CONTENT: Final = f"{_BACKPORT_PROFILE}backport-payload-content"
CHANNEL_TYPE: Final = f"{_BACKPORT_PROFILE}backport-channel-type"

# Extensions of a topic that is a Basic resource (HL7, R5 in R4)
R5_TOPIC: Final = "http://hl7.org/fhir/5.0/StructureDefinition/extension-SubscriptionTopic."
RESOURCE_TYPES: Final = "http://hl7.org/fhir/fhir-types"
SUBSCRIPTION_TOPIC: Final = "SubscriptionTopic"

# Status and kinds of notifications
REQUESTED: Final = "requested"
ACTIVE: Final = "active"
ERROR: Final = "error"
OFF: Final = "off"
HANDSHAKE: Final = "handshake"
HEARTBEAT_NOTIFICATION: Final = "heartbeat"
EVENT_NOTIFICATION: Final = "event-notification"
QUERY_STATUS: Final = "query-status"
QUERY_EVENT: Final = "query-event"

# Channels and content
REST_HOOK: Final = "rest-hook"
WEBSOCKET: Final = "websocket"
EMPTY: Final = "empty"
ID_ONLY: Final = "id-only"
FULL_RESOURCE: Final = "full-resource"
