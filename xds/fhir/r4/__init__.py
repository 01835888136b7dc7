"""Resources of FHIR R4 (4.0.1): their forms, their structure, and what is wrong with them."""
