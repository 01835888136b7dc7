"""HL7 v2 messages read into the model of :mod:`xds.messaging.model`."""
