"""Templates: the list, the editor with its preview, and the frames in which mails are shown.

The page owns what is typed; the server keeps it as a draft a moment later, fills it in for a contact, and says what is wrong.
"""
