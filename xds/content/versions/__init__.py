"""What documents say within them of their versions, as :mod:`xds.metadata.submission` has it."""
