"""Documents understood: what their own words say of them as metadata (PCC TF-2 4.1.1)."""
