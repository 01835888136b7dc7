"""The summary of a patient: what the documents that may be seen contain, each with its source."""
