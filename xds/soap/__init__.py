"""The SOAP binding: MIME and XOP, WS-Addressing, envelopes and faults around the transactions."""
