"""The command line and the configuration made of it."""
