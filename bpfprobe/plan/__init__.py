"""VERB: bound -> plan. Chooses, and says why; looks at nothing but what it is handed."""
