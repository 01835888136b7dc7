"""FHIR over HTTP: forms, bodies, conditions and failures (R4, 3.1.0)."""
