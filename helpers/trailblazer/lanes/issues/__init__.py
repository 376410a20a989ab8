"""Issues of a tracker, each through an agent: the nightly dispatch."""
