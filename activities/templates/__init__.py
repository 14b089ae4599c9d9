"""Templates as people work with them: versions, lists, previews, partials, layouts to begin with."""
