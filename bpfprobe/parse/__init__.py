"""VERB: text and Python calls -> spec. Reads nothing but what it is given."""
