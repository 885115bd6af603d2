"""The one exception whose message is meant for whoever typed the command."""


class InputError(ValueError):
    """Something given by the user cannot be used.

    The message is one line: it names the value, what was expected and the way
    out. The command line prints it without a traceback and exits with code 2;
    every other exception is a bug and keeps its traceback.
    """
