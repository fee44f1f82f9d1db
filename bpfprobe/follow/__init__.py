"""A session that attaches to files that processes map later."""
