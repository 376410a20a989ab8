"""The four answers in which kinds of work differ: plan, gate, claim, attempt."""
