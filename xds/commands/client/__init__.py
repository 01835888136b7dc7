"""Commands of a Document Source, a Document Consumer and a receiver of notifications."""
