"""The demonstration, and the release that it and the e2e tests work with."""
