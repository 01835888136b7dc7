"""The query workbench: stored queries and FHIR searches as forms, asked as a client asks them."""
