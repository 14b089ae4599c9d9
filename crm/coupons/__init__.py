"""Coupon codes: pools of them, and who gets which."""
