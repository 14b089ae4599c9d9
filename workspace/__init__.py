"""What belongs to a workspace and not to a contact: members, roles, log-in, keys, secrets, settings, provider accounts, the audit trail."""
