"""DSUBm, one FHIR service: subscriptions, their topics, and what is sent of them (ITI-110)."""
