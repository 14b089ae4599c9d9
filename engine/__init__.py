"""Runs programs: interpreter, simulator, the Temporal workflow, enrolment and event routing."""
