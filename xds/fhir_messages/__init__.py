"""FHIR messages: a Bundle that brings reports, documents or orders (FHIR R4, Messaging)."""
