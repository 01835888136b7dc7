"""Forms of documents for FHIR clients, a FHIR service: documents that are made on request."""
