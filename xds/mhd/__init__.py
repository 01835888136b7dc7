"""The MHD binding: the same documents for FHIR R4 clients (IHE MHD 4.2.4)."""
