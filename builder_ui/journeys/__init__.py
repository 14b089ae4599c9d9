"""Pages about journeys: the list, one of them, its versions, runs and moves."""
