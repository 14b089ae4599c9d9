"""Segments: named rules with a live membership, and lists kept by hand."""
