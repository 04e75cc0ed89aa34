"""Signatures over the files of a model version, in the format of OpenSSF Model Signing 1.0 with keys.

`keys` reads and names keys, `statement` says what is signed, `bundle` how it is signed; `verification` is for whoever
loads a version, `command` for the container that signs. Needs `cryptography`, so it is imported only when it is used.
"""
