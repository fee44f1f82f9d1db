"""VERB: attachment -> records, waiting no longer than the latency bound."""
