"""The web server: tracking ingestion, the admin interface, provider callbacks and public pages."""
