"""The command line for people: `mainspring`, and as a plugin `kubectl mainspring`.

It asks the API server alone, with the user's own kubeconfig and rights, and works when the operator is down. It needs
pydantic and kubernetes; everything else of the operator stays out of it.
"""
