"""Pages for sales: tasks."""
