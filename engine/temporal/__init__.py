"""What Temporal knows of us: the workflow, signals and starts, failures without personal data."""
