"""Who enters a journey, and by what: events, schedules, people."""
