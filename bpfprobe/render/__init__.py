"""VERB: plan -> C source. The same plan gives the same bytes."""
