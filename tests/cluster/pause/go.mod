module mainspring.dev/tests/pause

go 1.24
