"""VERB: records -> the user. Decodes events and prints them."""
