"""Where the engine meets kopf and the outside: the only package that imports kopf."""
