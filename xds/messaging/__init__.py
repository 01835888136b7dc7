"""What messages mean: reports, documents and orders become submissions, and submissions messages.

HL7 v2 and FHIR messages are read into one model (:mod:`xds.messaging.model`), and from there on
there is one way for both: patient, versions, registration, acknowledgement.
"""
