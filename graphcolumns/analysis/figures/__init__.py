"""The pictures of a report, one function per file."""
