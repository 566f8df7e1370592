"""The command line: one file a command, flags and body together."""
