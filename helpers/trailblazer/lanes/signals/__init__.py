"""Cases of a scenario through triage, clusters and investigation by agents that talk through files."""
