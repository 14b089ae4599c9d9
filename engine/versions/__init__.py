"""A journey's life: drafts, publishing, moving runs between versions, lists."""
