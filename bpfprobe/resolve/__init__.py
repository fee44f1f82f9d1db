"""VERB: spec + target -> bound. Finds what every name means on one machine, and types it."""
