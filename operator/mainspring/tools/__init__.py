"""Generators of what is committed: CRDs, RBAC, the API reference."""
