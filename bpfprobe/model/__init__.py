"""The nouns: frozen values that the stages hand to one another. No file or kernel is touched here."""
