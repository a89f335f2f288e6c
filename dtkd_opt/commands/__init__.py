"""The command line: one file a subject; `main` puts them together."""
