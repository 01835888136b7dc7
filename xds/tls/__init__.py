"""Node authentication (ITI-19): certificates, keys, authorities and revocation lists."""
