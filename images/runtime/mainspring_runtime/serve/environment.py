"""Names of the environment variables, which are those of `mainspring.api.contract.ServerEnv`.

They are written a second time because importing the contract imports pydantic, which the server needs only to explain a
failure; a unit test compares the two.
"""

from __future__ import annotations

MODEL_NAME = "MAINSPRING_MODEL_NAME"
MODEL_VERSION = "MAINSPRING_MODEL_VERSION"
MODEL_URI = "MAINSPRING_MODEL_URI"
MODEL_DIGEST = "MAINSPRING_MODEL_DIGEST"
TRUSTED_TYPES = "MAINSPRING_TRUSTED_TYPES"
ALLOW_PICKLE = "MAINSPRING_ALLOW_PICKLE"
VERIFICATION_SECRET = "MAINSPRING_VERIFICATION_SECRET"
PUBLIC_KEY = "MAINSPRING_PUBLIC_KEY"
PORT = "MAINSPRING_PORT"
INTERNAL_PORT = "MAINSPRING_INTERNAL_PORT"
FEEDBACK_KEY = "MAINSPRING_FEEDBACK_KEY"
PAYLOAD_LOG = "MAINSPRING_PAYLOAD_LOG"
SERVER = "MAINSPRING_SERVER"
