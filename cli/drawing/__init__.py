"""What draws on a terminal: `render` alone writes, `wording` says decisions.

In: reports and errors. Out: text on standard output and standard error, escaped as values.
Called by the session and the commands; nothing below `cli` imports it.
"""
