"""SOAP messages on the wire, for both ends: MIME, MTOM, envelopes, addressing, faults."""
