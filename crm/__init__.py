"""People: identity, profiles, consent, scores, tasks, and the SQL face of rules.

Every function takes a Session inside the caller's write transaction and `now` (aware UTC); none reads the clock, commits,
or reaches outside the database. Whoever changes a contact locks its row first (`storage.locks`).
"""
