"""The roles of the console: what a person is there for, of which pages and actions follow."""

from enum import StrEnum


class ConsoleRole(StrEnum):
    """One role; a person may have several."""

    VIEWER = "viewer"
    """Reads documents and their metadata, as the policy permits."""
    CLINICIAN = "clinician"
    """Reads those of patients, and breaks the glass in an emergency."""
    INTEGRATION = "integration"
    """Looks after messages, submissions and queries, and what refuses them."""
    OPERATOR = "operator"
    """Looks after queues, feeds, destinations and subscriptions; sees no document."""
    PRIVACY = "privacy"
    """Reads the audit records: who has seen what."""
    ADMINISTRATOR = "administrator"
    """All of it."""
