"""What stands before every request: how it comes in by HTTP, how its answer leaves, and who waits.

Nothing waits for a client in a thread. Granian takes in a request by its RSGI interface
(:mod:`xds.http.granian_worker`); its body is awaited (:mod:`xds.http.bodies`) and only when it is
there does a thread (:mod:`xds.http.threads`) run the WSGI application: that which brought it, or
another while that is busy. A large answer is made by a thread as long as the client takes it
(:mod:`xds.http.answers`). Clients that are too slow, or have too many requests awaited, are told so
or cut off (:mod:`xds.http.slow_clients`).
"""
