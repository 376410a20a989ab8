"""Make a project folder.

trailblazer init
"""


def add_words(parser):
    pass


def run(words):
    return 0
