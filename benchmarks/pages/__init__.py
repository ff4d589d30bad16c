"""WHAT is shown: tables and the first page as markdown, each a function of the records."""
