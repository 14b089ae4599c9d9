"""Mails that come in: bounces, complaints, replies, unsubscribe requests."""
