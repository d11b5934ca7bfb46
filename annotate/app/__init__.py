"""The labelling app: a local web server and its pages."""
