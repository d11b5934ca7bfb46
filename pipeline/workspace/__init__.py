"""The workspace on disk: atomic writes, manifests, folders, tables. Knows no stage."""
