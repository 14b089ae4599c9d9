"""Devices register for push messages: browsers and apps of contacts that the customer's site has logged in."""
