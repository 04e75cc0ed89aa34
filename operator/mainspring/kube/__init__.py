"""Talking to the API server: the client, create-or-apply, the cache, events."""
