"""Items of a list, each through one command or agent."""
