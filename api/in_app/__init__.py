"""The inbox that a contact has on the customer's site: tokens, list, marks, a stream, and the script that shows it."""
