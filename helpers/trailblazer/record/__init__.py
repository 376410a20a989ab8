"""The folder of a dispatch: what is written into it, what it proves, how it is read again."""
