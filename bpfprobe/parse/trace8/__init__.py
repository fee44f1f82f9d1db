"""trace(8)'s one-line descriptions: ``r:c:malloc (retval) "allocated = %x", retval``."""
