"""What a message asks of the registry: patient, versions, metadata, and the one commit."""
