"""Updates of what is registered, by FHIR: what changes, what may not, and how it is written."""
