"""Who asks for what: the caller of a transaction, and the interceptors around every one."""
