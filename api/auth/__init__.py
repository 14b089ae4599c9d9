"""Who asks: logging in, keys and roles, and where a request may come from."""
