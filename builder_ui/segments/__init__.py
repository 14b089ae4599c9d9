"""Segments on pages: the list, one of them from all sides, and the editor of its rule."""
