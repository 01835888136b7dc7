"""CDA documents read: header, sections, entries, results, attachments."""
