"""The metadata language of the Document Sharing profiles (ITI TF-3 section 4): pure, no I/O."""
