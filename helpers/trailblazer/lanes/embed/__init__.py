"""Embedding runs."""
