"""What made documents consist of: pages of a PDF with their fonts, elements of CDA."""
