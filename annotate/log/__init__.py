"""The log of decisions: its database, the state that it leads to, undo, and its form as text."""
