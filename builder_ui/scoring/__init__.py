"""The pages about scoring."""
