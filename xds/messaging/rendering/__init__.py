"""Reports without a document of their own are rendered: as PDF/A, CDA, FHIR document or text.

What is rendered follows from the message alone, byte for byte: no clock, no chance. The identity of
a report's content is that of :func:`xds.messaging.rendering.text.canonical`, not of these bytes.
"""
