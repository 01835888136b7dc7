"""Patients and their documents, and the search box."""
