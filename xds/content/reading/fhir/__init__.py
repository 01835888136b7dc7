"""FHIR documents read: header, sections, resources, results, attachments."""
