"""Where a command runs: this machine."""
