"""The configuration: its models, and YAML with errors that name the field."""
