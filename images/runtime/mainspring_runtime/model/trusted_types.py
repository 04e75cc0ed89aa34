TRUSTED_TYPES: frozenset[str] = frozenset()
