"""Pages about contacts: the list, one of them, duplicates, imports."""
