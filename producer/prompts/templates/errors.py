"""What is raised over templates and wildcards."""


class TemplateError(Exception):
    """A template or a wildcard that cannot be used; the message says why and what to do."""
