"""Background jobs: what each kind does, who holds which job, and the threads of a worker that do them."""
