"""Issues of a tracker, each through an agent or a runner."""
