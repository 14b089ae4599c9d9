"""The admin API: one router a noun, all under `/api/v1`."""
