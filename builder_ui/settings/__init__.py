"""Pages of the settings: the workspace, members, keys, secrets, jobs, the audit trail, my account."""
