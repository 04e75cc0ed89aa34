"""The API: kinds, conditions and the contract with the pods. Pure data, shared by operator and runtime."""
