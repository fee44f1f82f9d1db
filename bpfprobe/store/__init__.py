"""EDGE: objects that were made before, in files that nobody else can write. See `folder`."""
