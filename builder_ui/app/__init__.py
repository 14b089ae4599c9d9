"""What serves and frames every page: the host behind the socket, the screen, the pages before the log-in."""
