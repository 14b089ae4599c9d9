"""Pages of companies: all of them, one from all sides, and a new one."""
