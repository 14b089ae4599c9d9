"""What every request and response has in common: limits, headers, bodies, errors, pages, OpenAPI."""
