"""Read-only questions over the tables: what a journey did and what it earned. Changes nothing."""
