"""Documents that FHIR clients submit (MHD 2:3.65, 2:3.105, 2:3.106)."""
