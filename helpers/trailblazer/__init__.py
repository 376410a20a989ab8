"""Carries out plans: gate, claim, dispatch, journal, proof."""
