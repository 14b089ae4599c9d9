"""What a contact or a mailbox allowed, and addresses that get nothing."""
