"""Forms of documents: what is made of a document, or of all of a patient's, for others to take."""
