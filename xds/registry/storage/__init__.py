"""How objects are kept: fragments of ebRIM, packed, and the rows that are searched."""
