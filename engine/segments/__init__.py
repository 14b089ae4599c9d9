"""Who keeps memberships live: marks and flips that come due, evaluated and told to journeys."""
