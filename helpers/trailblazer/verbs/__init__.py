"""One file a verb: `add_words(parser)` says what it understands, `run(words)` does it and returns an exit code."""
