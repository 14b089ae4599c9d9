"""Pictures that people upload for their messages: what becomes of a file, and the library they are kept in."""
