"""What people of the team do for a contact: tasks."""
