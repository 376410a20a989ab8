"""Carrying a plan out: the contract of a lane, the engine, and the story around them."""
