"""Walks programs. Pure: no clock, no chance, no database; the same arguments give the same answer."""
