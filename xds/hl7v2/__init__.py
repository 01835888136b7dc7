"""The MLLP binding: HL7 v2 messages of the patient feed, answered by acknowledgements."""
