"""What pages are made of: context, translation, components, forms, labels, permissions."""
