"""Erased people stay erased; clips to share show nobody."""
