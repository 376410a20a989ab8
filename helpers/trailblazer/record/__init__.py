"""The folder of a dispatch: how it is written, proved and read again."""
