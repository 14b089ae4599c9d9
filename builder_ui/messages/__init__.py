"""Pages about messages, whatever provider carried them."""
