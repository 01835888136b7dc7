"""The data types of FHIR R4 as those of XDS metadata, and back."""
