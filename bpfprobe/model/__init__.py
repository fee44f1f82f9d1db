"""The nouns: frozen values that the stages hand to one another. Nothing here does I/O."""
