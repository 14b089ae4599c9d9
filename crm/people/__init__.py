"""Who a contact is: identity, profile, merges and splits, scores, tags, the timeline."""
