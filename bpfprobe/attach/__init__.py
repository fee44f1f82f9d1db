"""VERB: bytecode -> attachment. Loads maps and programs, attaches them all or none."""
