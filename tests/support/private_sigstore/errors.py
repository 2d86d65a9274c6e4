"""What a service refuses: answered with status 400 and the reason."""


class Refused(Exception):
    """The request is not acceptable."""
