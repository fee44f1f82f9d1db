"""VERB: bound -> what it counts on, so that two machines can be compared."""
