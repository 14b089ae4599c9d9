"""The SQL face of rules: an expression for many contacts, and the facts about one of them."""
