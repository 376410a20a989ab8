"""The words of a command line: their grammar, their help, their completions and their manual page."""
