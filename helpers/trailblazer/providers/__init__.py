"""Who does the work: commands and agents as data, and the prompts they are given."""
