"""The console: pages for people, a second face of what the APIs do, with the same policy and audit.

It has no data access of its own: ``tests/test_layers.py`` holds what it may call.
"""
