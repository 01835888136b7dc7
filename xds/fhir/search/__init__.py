"""Searches as FHIR R4 has them (3.1.1): requests read, results given in pages."""
