"""What was wrong with submissions that were refused, and the unknown codes that were met.

An audit record says of a refusal what may leave this server: the codes of its errors, and which
rule each is by. Here is what the sender was told besides, which may have values of a patient: it is
kept for a limited time, for those who help senders to mend their submissions.
"""
