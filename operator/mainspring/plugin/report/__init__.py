"""The report about a monitor: facts from what the cluster knows (pure), and these as a page, as text, as JSON."""
